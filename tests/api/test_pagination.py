"""The official SDK fetches lists page by page, with and without a service. See docs/behaviour/pagination.md.

Pages that would be too large for a Lambda response end early.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from convoke.api import pagination
from tests.support.examples import sms
from tests.support.instances import ORIGIN, Instance

ITEMS = 5

MESSAGING_SERVICE = "MG" + "0" * 32


def conversations(instance: Instance, tree: Any) -> tuple[Any, list[str]]:
    return tree.conversations, [tree.conversations.create().sid for _ in range(ITEMS)]


def participants(instance: Instance, tree: Any) -> tuple[Any, list[str]]:
    conversation = tree.conversations(tree.conversations.create().sid)
    made = [conversation.participants.create(identity=f"member {number}").sid for number in range(ITEMS)]
    return conversation.participants, made


def messages(instance: Instance, tree: Any) -> tuple[Any, list[str]]:
    conversation = tree.conversations(tree.conversations.create().sid)
    return conversation.messages, [conversation.messages.create(body=str(number)).sid for number in range(ITEMS)]


def receipts(instance: Instance, tree: Any) -> tuple[Any, list[str]]:
    """Create receipts. Return the SDK's receipt list and the sorted receipt SIDs."""
    created = tree.conversation_with_participants.create(
        participant=sms(ITEMS), messaging_service_sid=MESSAGING_SERVICE
    )
    instance.work()
    conversation = tree.conversations(created.sid)
    message = conversation.messages(conversation.messages.create(body="Hello").sid)
    return message.delivery_receipts, sorted(receipt.sid for receipt in message.delivery_receipts.list())


def webhooks(instance: Instance, tree: Any) -> tuple[Any, list[str]]:
    conversation = tree.conversations(tree.conversations.create().sid)
    given = {"target": "webhook", "configuration_url": "https://hooks.example.com/"}
    made = [conversation.webhooks.create(configuration_filters=["onMessageAdded"], **given).sid for _ in range(ITEMS)]
    return conversation.webhooks, made


def services(instance: Instance, v1: Any) -> tuple[Any, list[str]]:
    made = [v1.services.create(friendly_name=str(number)).sid for number in range(ITEMS - 1)]
    return v1.services, [v1.configuration().fetch().default_chat_service_sid, *made]


IN_BOTH_TREES = [conversations, participants, messages, receipts, webhooks]

LISTS = [
    *(pytest.param(filled, in_service, id=f"{filled.__name__}-{'service' if in_service else 'account'}")
      for filled in IN_BOTH_TREES for in_service in (False, True)),
    pytest.param(services, False, id="services"),
]  # fmt: skip


@pytest.mark.each_engine
@pytest.mark.parametrize(("filled", "in_service"), LISTS)
def test_every_list_is_complete_with_any_page_size(
    instance: Instance, filled: Callable[[Instance, Any], tuple[Any, list[str]]], in_service: bool
) -> None:
    v1 = instance.client().conversations.v1
    tree = v1.services(v1.services.create(friendly_name="Support").sid) if in_service else v1
    listed, sids = filled(instance, tree)
    assert [each.sid for each in listed.list()] == sids
    assert [each.sid for each in listed.list(page_size=2)] == sids
    assert [each.sid for each in listed.list(limit=3)] == sids[:3]
    assert [each.sid for each in listed.list(limit=3, page_size=2)] == sids[:3]
    assert [each.sid for each in listed.stream(page_size=1)] == sids

    first = listed.page(page_size=2)
    second = first.next_page()
    third = second.next_page()
    pages = [[each.sid for each in page] for page in (first, second, third)]
    assert pages == [sids[:2], sids[2:4], sids[4:]]
    assert third.next_page() is None
    assert first.previous_page() is None
    assert [each.sid for each in third.previous_page()] == sids[2:4]
    assert second.next_page_url.startswith(f"{ORIGIN}/v1/{'Services/' if in_service else ''}")


# Pages that end early, because a full page would be too large for a Lambda response.


def every_list(instance: Instance) -> dict[str, str]:
    """Create resources for many lists. Return a mapping from each list's path to the list's name in the response."""
    v1 = instance.client().conversations.v1
    v1.configuration.webhooks().update(post_webhook_url="https://hooks.example.com/", filters=["onMessageAdded"])
    for _ in range(2):
        v1.conversations(v1.conversations.create().sid).participants.create(identity="member 0")
    sid = v1.conversation_with_participants.create(participant=sms(ITEMS), messaging_service_sid=MESSAGING_SERVICE).sid
    instance.work()
    conversation = v1.conversations(sid)
    for number in range(ITEMS):
        conversation.participants.create(identity=f"member {number}")
        v1.services.create(friendly_name=str(number))
        webhook = {"configuration_url": "https://hooks.example.com/", "configuration_filters": ["onMessageAdded"]}
        conversation.webhooks.create(target="webhook", **webhook)
    instance.receivers.statuses = [400] * (2 * ITEMS)
    # The author is one of the phones, so this phone gets no copy. Copies to all phones would cause more events than fit
    # on the largest page.
    text = {"body": "Hello", "author": "+15558670000", "x_twilio_webhook_enabled": "true"}
    message = [conversation.messages.create(**text) for _ in range(2)][-1]
    instance.work()
    events = instance.call("GET", f"/convoke/v1/Events?ConversationSid={sid}").body["events"]
    event = next(event for event in events if event["event_type"] == "onMessageAdded")
    return {
        "/v1/Conversations": "conversations",
        "/v1/Conversations?State=active": "conversations",
        "/v1/Conversations?StartDate=2020-01-01": "conversations",
        f"/v1/Conversations/{sid}/Participants": "participants",
        f"/v1/Conversations/{sid}/Messages": "messages",
        f"/v1/Conversations/{sid}/Messages?Order=desc": "messages",
        f"/v1/Conversations/{sid}/Messages/{message.sid}/Receipts": "delivery_receipts",
        f"/v1/Conversations/{sid}/Webhooks": "webhooks",
        "/v1/Services": "services",
        "/v1/ParticipantConversations?Identity=member+0": "conversations",
        "/convoke/v1/Events": "events",
        f"/convoke/v1/Events?ConversationSid={sid}": "events",
        f"/convoke/v1/Events/{event['id']}/Attempts": "attempts",
        "/v1/Alerts": "alerts",
    }


def walked(instance: Instance, path: str, key: str, direction: str) -> tuple[list[Any], str]:
    """Read the page at `path`, and follow the link `direction` of each page.

    Return the resources of each page, and the URL of the last page.
    """
    pages, url = [], path
    while True:
        content = instance.call("GET", url).body
        pages.append(content[key])
        following = content["meta"][direction]
        if following is None:
            return pages, url
        url = following.removeprefix(ORIGIN)


@pytest.mark.each_engine
def test_pages_that_end_early_miss_and_repeat_nothing(instance: Instance, monkeypatch: pytest.MonkeyPatch) -> None:
    lists = every_list(instance)
    listed = {path: instance.call("GET", path).body[key] for path, key in lists.items()}
    assert [path for path, resources in listed.items() if len(resources) < 2] == []
    monkeypatch.setattr(pagination, "MAX_PAGE_BYTES", 1)
    for path, key in lists.items():
        forward, last = walked(instance, path, key, "next_page_url")
        assert [page for page in forward if page] == [[resource] for resource in listed[path]], path
        # Read backward from the last page, which may be empty.
        backward, _ = walked(instance, last, key, "previous_page_url")
        assert [page for page in reversed(backward) if page] == [[resource] for resource in listed[path]], path


@pytest.mark.each_engine
def test_page_of_100_large_messages_fits_into_a_response_of_lambda(instance: Instance) -> None:
    v1 = instance.client().conversations.v1
    sid = v1.conversations.create().sid
    for _ in range(100):
        v1.conversations(sid).messages.create(body="\n" * 32_768)
    pages, _ = walked(instance, f"/v1/Conversations/{sid}/Messages?PageSize=100", "messages", "next_page_url")
    assert [message["index"] for page in pages for message in page] == [*range(100)]
    assert len(pages) == 2
    response = instance.call("GET", f"/v1/Conversations/{sid}/Messages?PageSize=100")
    assert len(json.dumps({"body": response.text, "headers": response.headers})) < 6 * 1024 * 1024
