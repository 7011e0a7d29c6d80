"""An error message names the wrong parameter and the solution, because SDK exceptions show only the message.

Some messages have Twilio's text instead, which clients may compare.
"""

from __future__ import annotations

from typing import Any

import pytest

from convoke.domain.events import POST_EVENTS, EventType
from tests.support.instances import Instance

CONVERSATION = "/v1/Conversations"
WITH_PARTICIPANTS = "/v1/ConversationWithParticipants"
ACCOUNT_WEBHOOKS = "/v1/Configuration/Webhooks"
ADDRESS = "Participant[0].messaging_binding.address"
URL = "https://hooks.example.com/"
WANTED_URL = "must be an absolute http or https URL, without spaces and control characters"


def member(**binding: str) -> str:
    return f'{{"messaging_binding": {binding}}}'.replace("'", '"')


MESSAGES: list[tuple[str, str, Any, int, str]] = [
    ("GET", f"{CONVERSATION}?PageSize=abc", None, 20001, "PageSize must be an integer"),
    ("GET", f"{CONVERSATION}?PageToken=abc", None, 20001, "PageToken must be a token from a page of this list"),
    ("POST", CONVERSATION, {"Timers.Inactive": "PT1S"}, 50375, "Timers.Inactive: The inactive timer must be"),
    ("POST", CONVERSATION, {"State": "open"}, 50378, "State: The state must be active, inactive or closed"),
    ("POST", CONVERSATION, {"Attributes": "{"}, 50304, "Attributes not valid JSON"),
    (
        "POST",
        WITH_PARTICIPANTS,
        {"Participant": member(address="+15558675310", projected_address="+15017122661")},
        50407,
        f"{ADDRESS}: Invalid messaging binding address: must be given without a projected address",
    ),
    (
        "POST",
        WITH_PARTICIPANTS,
        {"Participant": member(address="jane", proxy_address="+15017122661")},
        50407,
        f"{ADDRESS}: Invalid messaging binding address: must be an E.164 number",
    ),
    (
        "POST",
        WITH_PARTICIPANTS,
        {"Participant": member(address="+16716461234")},
        50407,
        f"{ADDRESS}: Invalid messaging binding address: must be a US or Canadian number",
    ),
    ("POST", ACCOUNT_WEBHOOKS, {"PostWebhookUrl": "ftp://x"}, 50054, f"PostWebhookUrl {WANTED_URL}"),
    ("POST", ACCOUNT_WEBHOOKS, {"PostWebhookUrl": "http://a b"}, 50054, f"PostWebhookUrl {WANTED_URL}"),
    ("POST", ACCOUNT_WEBHOOKS, {"PostWebhookUrl": "http://[x"}, 50054, f"PostWebhookUrl {WANTED_URL}"),
    (
        "POST",
        ACCOUNT_WEBHOOKS,
        {"Filters": ["onMessageAdded", "onMessage"]},
        50054,
        f"Filters[1] must be one of {', '.join(EventType)}",
    ),
    (
        "POST",
        "/v1/Conversations/visit/Webhooks",
        {"Target": "webhook", "Configuration.Url": URL, "Configuration.Filters": "onMessageAdd"},
        50365,
        f"Configuration.Filters[0] must be one of the post-events {', '.join(POST_EVENTS)}",
    ),
]


@pytest.mark.parametrize(("method", "path", "form", "code", "message"), MESSAGES)
def test_message_names_the_parameter_and_the_requirement(
    instance: Instance, method: str, path: str, form: Any, code: int, message: str
) -> None:
    instance.call("POST", CONVERSATION, {"UniqueName": "visit"})
    refused = instance.call(method, path, form)
    assert refused.body["code"] == code
    assert refused.body["message"].startswith(message)


def test_message_names_the_header(instance: Instance) -> None:
    refused = instance.call("POST", CONVERSATION, {}, {"X-Twilio-Webhook-Enabled": "yes"})
    assert refused.body["message"] == "X-Twilio-Webhook-Enabled must be true or false"


def test_messages_of_further_problems_name_their_parameters(instance: Instance) -> None:
    body = instance.call("POST", CONVERSATION, {"State": "open", "UniqueName": "CH" + "0" * 32}).body
    (problem,) = body["details"]["problems"]
    assert problem["message"].startswith(f"{problem['parameter']}: ")


def test_well_known_texts_stay_as_they_are(instance: Instance) -> None:
    for _ in range(2):
        taken = instance.call("POST", CONVERSATION, {"UniqueName": "visit"})
    assert taken.body["details"]["parameter"] == "UniqueName"
    assert taken.body["message"] == "Conversation with provided unique name already exists"


def test_conflict_says_what_is_in_conflict_and_what_to_do(instance: Instance) -> None:
    default = instance.account.default_chat_service_sid
    refused = instance.call("DELETE", f"/v1/Services/{default}")
    assert refused.body["message"] == "The default service cannot be deleted: choose another default first"
    assert refused.body["details"] == {"reason": "default_service"}
    roles = instance.call("GET", "/v1/Roles").body["roles"]
    refused = instance.call("DELETE", f"/v1/Roles/{roles[0]['sid']}")
    assert refused.body["message"].startswith("A default role of a service cannot be changed or deleted")
