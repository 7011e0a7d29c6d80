"""A conversation's revision implements optimistic locking (storage/revisions.py)."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from convoke.domain.conversations import Conversation, State
from convoke.storage.items import conversation_item
from convoke.storage.revisions import ChangedMeanwhileError, differences, revise
from convoke.storage.table import Put
from tests.support.tables import memory_table

CONVERSATION = Conversation(
    account_sid="AC" + "0" * 32,
    chat_service_sid="IS" + "0" * 32,
    sid="CH" + "0" * 32,
    state=State.ACTIVE,
    date_created=datetime(2026, 1, 2, tzinfo=UTC),
    date_updated=datetime(2026, 1, 2, tzinfo=UTC),
)


def test_revising_an_unchanged_conversation_increments_its_revision() -> None:
    after = CONVERSATION.model_copy(update={"friendly_name": "Visit"})
    with memory_table() as table:
        table.transact([Put(conversation_item(CONVERSATION))])
        revise(table, CONVERSATION, differences(CONVERSATION, after), None)
        expected = after.model_copy(update={"revision": CONVERSATION.revision + 1})
        (stored,) = table.get_many([Put(conversation_item(CONVERSATION)).key]).values()
        assert Conversation.model_validate(stored) == expected


def test_revising_a_changed_conversation_raises_and_writes_nothing() -> None:
    changed = conversation_item(CONVERSATION.model_copy(update={"revision": CONVERSATION.revision + 1}))
    after = CONVERSATION.model_copy(update={"friendly_name": "Visit"})
    with memory_table() as table:
        table.transact([Put(changed)])
        with pytest.raises(ChangedMeanwhileError):
            revise(table, CONVERSATION, differences(CONVERSATION, after), None)
        assert table.get(Put(changed).key) == changed
