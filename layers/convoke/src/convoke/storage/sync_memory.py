"""Remember removals and edits for chat clients that were away, for seven days.

A client that was away gets the state of each changed item. The event id in an item tells whether the item has changed.
Three changes leave no such item: a deleted message, a participant that left, and a conversation that a User left. An
old message that was edited has an event id, but no query finds it without reading all messages. Therefore the
transaction of these changes also stores a small item, which expires. See docs/decisions/0156-memory-of-removals.md.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import NamedTuple

from convoke.domain.conversations import Conversation, State
from convoke.domain.event_ids import to_moment
from convoke.domain.model import Model
from convoke.domain.retention import REMOVALS_LIFETIME
from convoke.domain.sync_objects import Action, ObjectKind
from convoke.domain.users import user_sid
from convoke.storage import items, keys
from convoke.storage.table import Item, Put, key_of


class RecordedTouch(Model):
    """An item of an object that a change touched, without the state of the item."""

    event_id: int
    action: Action
    key: str


class Departure(NamedTuple):
    """A User is no longer a participant of a conversation."""

    conversation_sid: str
    event_id: int


def touch_write(conversation: Conversation, kind: ObjectKind, touch: RecordedTouch) -> Put:
    """Return the write that remembers what a change touched in an object of a conversation."""
    key = keys.sync_touch(conversation.account_sid, conversation.sid, kind, keys.touch_position(touch.event_id))
    return Put(items.with_expiry(items.to_item(key, touch), _expiry(touch.event_id)))


def departure_write(account_sid: str, chat_service_sid: str, identity: str, departure: Departure) -> Put:
    """Return the write that remembers that a User left a conversation."""
    sid, event_id = departure
    key = keys.departure(account_sid, user_sid(chat_service_sid, identity), sid)
    return Put(items.with_expiry({**key._asdict(), "event_id": event_id}, _expiry(event_id)))


def departures_of_erased(tombstone: Item | None, erased: Sequence[Item]) -> list[Put]:
    """Return the writes that remember that the participants among `erased` were in a conversation that was deleted.

    `tombstone` is None if another sweeper has already erased the conversation. No client has seen a conversation that
    was deleted in the state `initializing`.
    """
    deleted = items.to_resource(Conversation, tombstone) if tombstone else None
    if deleted is None or deleted.state is State.INITIALIZING:
        return []
    departure = Departure(deleted.sid, deleted.last_event_id)
    return [
        departure_write(deleted.account_sid, deleted.chat_service_sid, str(item["identity"]), departure)
        for item in erased
        if keys.kind_of(key_of(item)) == keys.PARTICIPANT and "identity" in item
    ]


def _expiry(event_id: int) -> datetime:
    return to_moment(event_id) + REMOVALS_LIFETIME
