"""The official SDK fetches every list page by page, with and without a service. See docs/behaviour/pagination.md."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

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
    """Create receipts. Return the list resource, and the SIDs of the receipts in ascending order."""
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
