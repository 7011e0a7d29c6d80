"""Changes: the events that are published, and the attempts to deliver them."""

from __future__ import annotations

from dataclasses import dataclass

from convoke.domain.events import Change
from convoke.domain.webhooks import Attempt, Delivery
from convoke.storage import items, keys
from convoke.storage.table import Item, Put, Table


def change_of(stored: Item) -> Change:
    """The change in a record of the table's stream."""
    return items.resource(Change, stored)


def recorded(change: Change) -> Put:
    """To be written with what changes (promise 6)."""
    return Put(items.item(keys.change(change.account_sid, change.sid), change))


@dataclass(frozen=True, slots=True)
class ChangeTable:
    table: Table

    def fetch(self, account_sid: str, change_sid: str) -> Change | None:
        stored = self.table.get(keys.change(account_sid, change_sid))
        return change_of(stored) if stored else None


@dataclass(frozen=True, slots=True)
class AttemptTable:
    table: Table

    def put(self, delivery: Delivery, attempt: Attempt) -> None:
        event = delivery.event
        key = keys.attempt(event.account_sid, event.id, delivery.target, attempt.number)
        self.table.transact([Put(items.item(key, attempt))])
