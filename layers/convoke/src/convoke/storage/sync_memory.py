"""Store records of removals and edits for seven days, for chat clients that connect again.

A client that connects again gets the current state of each changed item. Convoke usually finds the changed items by
their event ids. With event ids alone, Convoke cannot find these changes:

- A deleted message, a participant that left, or a conversation that a User left: no item with an event id exists.
- An edited message: Convoke would have to read all messages to find the event id.

Therefore the transaction of such a change also stores a small record, which expires. See
docs/decisions/0156-memory-of-removals.md.
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
    """A record which shows that an item of a Sync object was edited or removed. `key` is the key of the item."""

    event_id: int
    action: Action
    key: str


class Departure(NamedTuple):
    """A record which shows that a User left a conversation, or that a conversation of the User was deleted.

    The User may have joined the conversation again after leaving.
    """

    conversation_sid: str
    event_id: int


def touch_write(conversation: Conversation, kind: ObjectKind, touch: RecordedTouch) -> Put:
    """Return the write that stores `touch`. `kind` is the kind of the Sync object that contains the changed item."""
    key = keys.sync_touch(conversation.account_sid, conversation.sid, kind, keys.touch_position(touch.event_id))
    return Put(items.with_expiry(items.to_item(key, touch), _expiry(touch.event_id)))


def departure_write(account_sid: str, chat_service_sid: str, identity: str, departure: Departure) -> Put:
    """Return the write that stores `departure`. `identity` is the identity of the departure's User."""
    sid, event_id = departure
    key = keys.departure(account_sid, user_sid(chat_service_sid, identity), sid)
    return Put(items.with_expiry({**key._asdict(), "event_id": event_id}, _expiry(event_id)))


def departures_of_erased(tombstone: Item | None, erased: Sequence[Item]) -> list[Put]:
    """Return the writes that store a departure for each participant in `erased` that has an identity.

    `tombstone` is the item of the deleted conversation, or None if another sweeper has already erased the conversation.
    If the conversation was deleted in the state `initializing`, there are no writes, because no client has seen the
    conversation.
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
