"""Clients never see deleted or outdated resources, although eventually consistent reads can return outdated data.

On DynamoDB, all queries of an index are eventually consistent. A query of the table is consistent only if Convoke
requests consistency. See docs/how-it-works.md#promises.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Any

import pytest
from twilio.rest.conversations.v1 import V1

from convoke.embedded.engine import EmbeddedEdges
from tests.support.examples import CHAT_AND_SMS, chat
from tests.support.instances import EmbeddedInstance, held_instance
from tests.support.stale import StaleTable

LONG_AFTER = timedelta(days=1)


@dataclass(frozen=True)
class Stale:
    instance: EmbeddedInstance
    table: StaleTable

    @property
    def v1(self) -> V1:
        return self.instance.client().conversations.v1


@pytest.fixture
def stale() -> Iterator[Stale]:
    """Run an instance whose eventually consistent queries do not show new writes.

    After `table.catch_up()`, the queries show all earlier writes.
    """
    tables: list[StaleTable] = []

    def rewire(edges: EmbeddedEdges) -> EmbeddedEdges:
        tables.append(StaleTable(edges.table))
        return replace(edges, table=tables[0])

    with held_instance(rewire=rewire) as instance:
        tables[0].catch_up()
        yield Stale(instance, tables[0])


def sids(listed: list[Any]) -> list[str]:
    return [each.sid for each in listed]


def test_deleted_conversation_is_not_listed(stale: Stale) -> None:
    conversation, other = stale.v1.conversations.create(), stale.v1.conversations.create()
    stale.table.catch_up()
    conversation.delete()
    assert sids(stale.v1.conversations.list()) == [other.sid]


def test_erased_conversation_is_not_listed(stale: Stale) -> None:
    conversation, other = stale.v1.conversations.create(), stale.v1.conversations.create()
    stale.table.catch_up()
    conversation.delete()
    stale.table.indexes_are_fresh = True
    stale.instance.sweep(LONG_AFTER)
    stale.table.indexes_are_fresh = False
    assert len(stale.instance.items("conversation")) == 1
    assert sids(stale.v1.conversations.list()) == [other.sid]


def test_list_shows_the_conversation_as_it_is_now(stale: Stale) -> None:
    conversation = stale.v1.conversations.create(friendly_name="before")
    stale.table.catch_up()
    conversation.update(friendly_name="after", state="inactive")
    (listed,) = stale.v1.conversations.list()
    assert (listed.friendly_name, listed.state) == ("after", "inactive")


def test_list_by_state_leaves_out_a_conversation_that_is_in_another_state_by_now(stale: Stale) -> None:
    conversation, other = stale.v1.conversations.create(), stale.v1.conversations.create()
    stale.table.catch_up()
    conversation.update(state="inactive")
    assert sids(stale.v1.conversations.list(state="active")) == [other.sid]


def test_members_are_listed_as_soon_as_they_are_added(stale: Stale) -> None:
    conversation = stale.v1.conversations.create()
    member = conversation.participants.create(identity="alice")
    assert sids(conversation.participants.list()) == [member.sid]
    member.delete()
    assert conversation.participants.list() == []


def test_removed_member_has_no_conversation(stale: Stale) -> None:
    conversation = stale.v1.conversations.create()
    member = conversation.participants.create(identity="alice")
    stale.table.catch_up()
    assert [each.conversation_sid for each in stale.v1.participant_conversations.list(identity="alice")] == [
        conversation.sid
    ]
    member.delete()
    assert stale.v1.participant_conversations.list(identity="alice") == []


def test_member_has_no_conversation_that_is_deleted(stale: Stale) -> None:
    conversation = stale.v1.conversations.create()
    conversation.participants.create(identity="alice")
    stale.table.catch_up()
    conversation.delete()
    assert stale.v1.participant_conversations.list(identity="alice") == []


def test_messages_are_listed_as_soon_as_they_are_sent(stale: Stale) -> None:
    conversation = stale.v1.conversations.create()
    first, second = (conversation.messages.create(body=body) for body in ("1", "2"))
    assert sids(conversation.messages.list()) == [first.sid, second.sid]
    first.delete()
    assert sids(conversation.messages.list()) == [second.sid]


def test_message_goes_to_members_who_have_just_been_added(stale: Stale) -> None:
    with_sms = stale.v1.conversation_with_participants.create(participant=CHAT_AND_SMS)
    stale.instance.work()
    conversation = stale.v1.conversations(with_sms.sid)
    message = conversation.messages.create(body="Hello")
    receipts = conversation.messages(message.sid).delivery_receipts.list()
    assert len(receipts) == 1
    conversation.messages(message.sid).delete()
    assert stale.instance.items("receipt") == []


def test_everything_of_a_deleted_conversation_is_erased(stale: Stale) -> None:
    sid = stale.v1.conversations.create().sid
    stale.table.catch_up()
    stale.v1.conversations(sid).participants.create(identity="alice")
    stale.v1.conversations(sid).messages.create(body="Hello")
    stale.v1.conversations(sid).delete()
    stale.table.indexes_are_fresh = True
    assert stale.instance.sweep(LONG_AFTER) == 1
    assert [item for item in stale.instance.items("") if item["pk"].endswith(sid) and item["sk"] != "change"] == []


def test_finished_conversation_with_an_outdated_index_entry_is_not_changed(stale: Stale) -> None:
    sid = stale.v1.conversation_with_participants.create(participant=chat(2)).sid
    stale.table.catch_up()
    stale.instance.work()
    before = stale.instance.items("")
    assert stale.instance.sweep(LONG_AFTER) == 1
    assert stale.v1.conversations(sid).fetch().state == "active"
    assert stale.instance.items("") == before


def test_api_keys_and_accounts_are_listed_as_soon_as_they_are_made(stale: Stale) -> None:
    accounts = stale.instance.accounts
    key, _ = accounts.api_keys.create(stale.instance.account.sid)
    made = accounts.create()
    assert [each.sid for each in accounts.api_keys.list(stale.instance.account.sid)] == [key.sid]
    assert [each.sid for each in accounts.accounts.list()] == [stale.instance.account.sid, made.sid]


def test_services_and_webhooks_are_listed_as_soon_as_they_are_made(stale: Stale) -> None:
    service = stale.v1.services.create(friendly_name="Second")
    assert service.sid in sids(stale.v1.services.list())
    conversation = stale.v1.conversations.create()
    webhook = conversation.webhooks.create(
        target="webhook", configuration_url="https://hooks.example.com/", configuration_filters=["onMessageAdded"]
    )
    assert sids(conversation.webhooks.list()) == [webhook.sid]
