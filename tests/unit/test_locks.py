"""A conversation acquires, holds and releases locks (storage/locks.py)."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import pytest

from convoke.domain.conversations import Conversation, State
from convoke.domain.errors import UniqueNameTakenError
from convoke.storage import keys
from convoke.storage.locks import Lock, locks_held
from convoke.storage.table import Key, Table, TransactionCanceledError
from tests.support.tables import memory_table

NOON = datetime(2026, 1, 2, 12, tzinfo=UTC)

ACCOUNT, SERVICE = "AC" + "0" * 32, "IS" + "0" * 32
OURS, THEIRS = "CH" + "0" * 32, "CH" + "1" * 32

NAME_KEY = keys.unique_name_lock(ACCOUNT, SERVICE, "visit")

LOCK = Lock(NAME_KEY, lambda _: UniqueNameTakenError())


@pytest.fixture
def table() -> Iterator[Table]:
    with memory_table() as made:
        yield made


def test_lock_can_be_acquired_by_one_conversation_only(table: Table) -> None:
    table.transact([LOCK.acquire(OURS)])
    with pytest.raises(TransactionCanceledError):
        table.transact([LOCK.acquire(THEIRS)])
    assert table.get(NAME_KEY) == LOCK.item(OURS)


def test_released_lock_can_be_acquired_again(table: Table) -> None:
    table.transact([LOCK.acquire(OURS)])
    table.transact([LOCK.release(OURS)])
    table.transact([LOCK.release(OURS)])
    table.transact([LOCK.acquire(THEIRS)])
    assert table.get(NAME_KEY) == LOCK.item(THEIRS)


def test_lock_of_another_conversation_cannot_be_released(table: Table) -> None:
    table.transact([LOCK.acquire(THEIRS)])
    with pytest.raises(TransactionCanceledError):
        table.transact([LOCK.release(OURS)])
    assert table.get(NAME_KEY) == LOCK.item(THEIRS)


def conversation(**fields: Any) -> Conversation:
    return Conversation(
        **{
            "account_sid": ACCOUNT,
            "chat_service_sid": SERVICE,
            "sid": OURS,
            "unique_name": "visit",
            "state": State.ACTIVE,
            "date_created": NOON,
            "date_updated": NOON,
            **fields,
        }
    )


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({}, {NAME_KEY}),
        ({"unique_name": None}, set()),
        ({"state": State.CLOSED}, {NAME_KEY}),
        ({"date_removed": NOON}, set()),
    ],
)
def test_conversation_holds_the_lock_of_its_name_until_it_is_deleted(
    fields: dict[str, Any], expected: set[Key]
) -> None:
    assert set(locks_held(conversation(**fields))) == expected
