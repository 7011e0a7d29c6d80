"""The `details` of an error name the parameter, the participant's index (if any), the rule, and the other problems.

See docs/behaviour/requests-and-answers.md#error-details.
"""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.support.examples import CHAT_AND_SMS, GROUP_MMS, chat
from tests.support.instances import Instance

PATH = "/v1/ConversationWithParticipants"

Body = dict[str, Any]


def refused(instance: Instance, *participants: object, **parameters: str) -> Body:
    """Send a request that Convoke must refuse without storing anything. Return the body of the response."""
    values = [value if isinstance(value, str) else json.dumps(value) for value in participants]
    before = instance.items("")
    answered = instance.call("POST", PATH, {**parameters, "Participant": values})
    assert answered.status == answered.body["status"] >= 400
    assert instance.items("") == before
    body: Body = answered.body
    return body


def problems(body: Body) -> list[tuple[int, str]]:
    """Return the code and the parameter of every problem. The main error comes first."""
    details = body["details"]
    return [
        (body["code"], details["parameter"]),
        *((problem["code"], problem["parameter"]) for problem in details.get("problems", [])),
    ]


def bound(**binding: str) -> Body:
    return {"messaging_binding": binding}


def test_details_name_parameter_index_and_rule(instance: Instance) -> None:
    body = refused(instance, {"identity": "alice"}, bound(address="nonsense", proxy_address="+15017122661"))
    assert body == {
        "code": 50407,
        "message": body["message"],
        "more_info": "https://www.twilio.com/docs/errors/50407",
        "status": 400,
        "details": {"parameter": "Participant[1].messaging_binding.address", "index": 1, "rule": "invalid_address"},
    }


def test_details_of_conversation_parameter_have_no_index(instance: Instance) -> None:
    assert refused(instance, FriendlyName="x" * 257)["details"] == {
        "parameter": "FriendlyName",
        "rule": "friendly_name_too_long",
    }


def test_problems_are_listed_in_order_of_checks(instance: Instance) -> None:
    body = refused(
        instance,
        {"identity": "alice"},
        "nonsense",
        {},
        {"identity": "", "attributes": "no JSON", "role_sid": "RL7"},
        UniqueName="CH" + "0" * 32,
        Attributes="no JSON",
        State="open",
    )
    assert problems(body) == [
        (50304, "Attributes"),
        (50390, "UniqueName"),
        (50378, "State"),
        (50424, "Participant[1]"),
        (50204, "Participant[2].identity"),
        (50204, "Participant[3].identity"),
        (50304, "Participant[3].attributes"),
        (50109, "Participant[3].role_sid"),
    ]
    assert [problem.get("index") for problem in body["details"]["problems"]] == [None, None, 1, 2, 3, 3, 3]
    assert all(problem["message"] and problem["rule"] for problem in body["details"]["problems"])


def test_problems_include_conversation_and_participant_rules(instance: Instance) -> None:
    body = refused(instance, *chat(1), *chat(1), {"identity": "bob", "role_sid": "RL" + "0" * 32}, State="closed")
    assert problems(body) == [(50384, "State"), (50433, "Participant[1]"), (50109, "Participant[2].role_sid")]


def test_more_than_ten_participants_are_not_validated(instance: Instance) -> None:
    assert problems(refused(instance, *["nonsense"] * 11, State="")) == [(50374, "State"), (50426, "Participant")]


def test_every_broken_group_rule_is_reported(instance: Instance) -> None:
    body = refused(instance, bound(address="+15558675310"), bound(address="+15558675310"), {"identity": "alice"})
    assert problems(body) == [
        (50437, "Participant[1]"),
        (50434, "Participant[2].messaging_binding.projected_address"),
        (50435, "Participant"),
    ]


@pytest.mark.each_engine
def test_every_collision_is_reported_with_conflicting_sid(instance: Instance) -> None:
    named = instance.call("POST", PATH, {"UniqueName": "taken"}).body["sid"]
    paired = instance.call("POST", PATH, {"Participant": CHAT_AND_SMS}).body["sid"]
    body = refused(instance, *chat(1), CHAT_AND_SMS[0], UniqueName="taken")
    assert (body["code"], body["status"]) == (50353, 409)
    assert body["details"]["conflicting_conversation_sid"] == named
    (pair,) = body["details"]["problems"]
    assert (pair["code"], pair["parameter"], pair["index"]) == (50425, "Participant[1].messaging_binding", 1)
    assert pair["conflicting_conversation_sid"] == paired


@pytest.mark.each_engine
def test_message_ends_with_sid_of_conflicting_group(instance: Instance) -> None:
    sid = instance.call("POST", PATH, {"Participant": GROUP_MMS}).body["sid"]
    body = refused(instance, *reversed(GROUP_MMS))
    assert (body["code"], body["message"][-34:]) == (50438, sid)
    assert body["details"]["conflicting_conversation_sid"] == sid


@pytest.mark.parametrize(
    ("binding", "code"),
    [
        pytest.param({"address": "+447700900123"}, 50407, id="phone outside North America"),
        pytest.param({"address": "+18005550100"}, 50407, id="toll-free phone"),
        pytest.param({"address": "+16716461234"}, 50407, id="phone in Guam"),
        pytest.param({"address": "+18765551234"}, 50407, id="phone in Jamaica"),
        pytest.param({"address": "+12345"}, 50407, id="short code with a plus"),
        pytest.param({"address": "12345"}, 50407, id="short code"),
        pytest.param({"projected_address": "+447700900123"}, 50439, id="business outside North America"),
        pytest.param({"projected_address": "+18885550100"}, 50439, id="toll-free business"),
        pytest.param({"projected_address": "12345"}, 50439, id="business short code"),
    ],
)
def test_group_accepts_north_american_long_codes_only(instance: Instance, binding: Body, code: int) -> None:
    (name,) = binding
    body = refused(instance, *GROUP_MMS, {"messaging_binding": binding})
    assert problems(body) == [(code, f"Participant[3].messaging_binding.{name}")]


def test_numbers_outside_north_america_are_accepted_outside_groups(instance: Instance) -> None:
    members = [
        json.dumps(bound(address="+447700900123", proxy_address="+18005550100")),
        json.dumps(bound(address="whatsapp:+447700900123", proxy_address="whatsapp:+18005550100")),
    ]
    assert instance.call("POST", PATH, {"Participant": members}).status == 202


def test_error_details_never_repeat_personal_data(instance: Instance) -> None:
    """Convoke logs errors. Therefore the details must not contain names, addresses, identities or attributes."""
    private = ["Jane Doe", "+15558675310", "+15017122661", "jane@example.com", "secret"]
    values = [
        {"identity": "jane@example.com"},
        {"identity": "jane@example.com"},
        bound(address="+15558675310", proxy_address="+15558675310"),
        {"identity": "Jane Doe", "attributes": "secret", **bound(address="+15558675310")},
    ]
    body = json.dumps(refused(instance, *values, UniqueName="Jane Doe" * 40, Attributes="secret"))
    assert not [each for each in private if each in body]
