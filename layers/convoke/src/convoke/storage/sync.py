"""Read what the Sync objects of chat clients need, and remember removals and edits for seven days.

A client that was away gets the state of each changed item. The event id in an item tells whether the item has changed.
Three changes leave no such item: a deleted message, a participant that left, and a conversation that a User left. An
old message that was edited has an event id, but no query finds it without reading all messages. Therefore the
transaction of these changes also stores a small item, which expires. See docs/decisions/0156-memory-of-removals.md.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import NamedTuple

from convoke.domain.conversations import Conversation
from convoke.domain.event_ids import to_event_id, to_moment
from convoke.domain.messages import Message
from convoke.domain.model import Model
from convoke.domain.participants import KnownBy, Participant
from convoke.domain.retention import REMOVALS_LIFETIME
from convoke.domain.sids import greatest_sid_with_index, least_sid_with_index
from convoke.domain.sync_objects import Action, ObjectKind
from convoke.domain.users import user_sid
from convoke.storage import items, keys
from convoke.storage.table import Item, Key, Put, Table, key_of

MEMBERSHIPS_PER_READ = 50
"""The number of memberships that are read at once. Each one needs two items, and a read has at most 100 keys."""


class RecordedTouch(Model):
    """An item of an object that a change touched, without the state of the item."""

    event_id: int
    action: Action
    key: str


class Departure(NamedTuple):
    """A User is no longer a participant of a conversation."""

    conversation_sid: str
    event_id: int


class SyncMembership(NamedTuple):
    """A conversation of a User."""

    conversation: Conversation
    participant: Participant


def touch_write(conversation: Conversation, kind: ObjectKind, touch: RecordedTouch) -> Put:
    """Return the write that remembers what a change touched in an object of a conversation."""
    key = keys.sync_touch(conversation.account_sid, conversation.sid, kind, touch.event_id)
    return Put(items.with_expiry(items.to_item(key, touch), _expiry(touch.event_id)))


def departure_write(account_sid: str, chat_service_sid: str, identity: str, departure: Departure) -> Put:
    """Return the write that remembers that a User left a conversation."""
    sid, event_id = departure
    key = keys.departure(account_sid, user_sid(chat_service_sid, identity), sid)
    return Put(items.with_expiry({**key._asdict(), "event_id": event_id}, _expiry(event_id)))


def departures_of_erased(tombstone: Conversation, erased: Sequence[Item]) -> list[Put]:
    """Return the writes that remember that the participants among `erased` were in a conversation that was deleted."""
    departure = Departure(tombstone.sid, tombstone.last_event_id)
    return [
        departure_write(tombstone.account_sid, tombstone.chat_service_sid, str(item["identity"]), departure)
        for item in erased
        if keys.kind_of(key_of(item)) == keys.PARTICIPANT and "identity" in item
    ]


@dataclass(frozen=True, slots=True)
class SyncRepository:
    table: Table

    def find_member(
        self, account_sid: str, conversation_sid: str, identity: str
    ) -> tuple[Conversation | None, str | None]:
        """Return a conversation, and the SID of its participant with an identity. One read fetches both."""
        conversation_key = keys.conversation(account_sid, conversation_sid)
        lock_key = keys.identity_lock(account_sid, conversation_sid, identity)
        found = self.table.get_many([conversation_key, lock_key])
        stored, lock = found.get(conversation_key), found.get(lock_key)
        if stored is None or "date_removed" in stored:
            return None, None
        return items.to_resource(Conversation, stored), str(lock["participant_sid"]) if lock else None

    def touches(
        self, account_sid: str, conversation_sid: str, kind: ObjectKind, since: int, limit: int
    ) -> list[RecordedTouch]:
        """Return what was touched in an object after the event `since`, oldest first."""
        partition = keys.conversation(account_sid, conversation_sid).pk
        between = keys.sync_touches(kind, since + 1)
        found = self.table.query(partition, between=between, limit=limit, consistent=True)
        return [items.to_resource(RecordedTouch, stored) for stored in found]

    def messages(
        self, account_sid: str, conversation_sid: str, *, start: int | None, limit: int, forward: bool
    ) -> list[Message]:
        """Return messages in the order of their indexes, or in reverse order. `start` is the first possible index."""
        partition, (first, last) = keys.conversation(account_sid, conversation_sid).pk, keys.messages()
        if start is not None and forward:
            first = keys.message(account_sid, conversation_sid, least_sid_with_index(start)).sk
        elif start is not None:
            last = keys.message(account_sid, conversation_sid, greatest_sid_with_index(start)).sk
        found = self.table.query(partition, between=(first, last), limit=limit, forward=forward, consistent=True)
        return [items.to_resource(Message, stored) for stored in found]

    def participants(
        self, account_sid: str, conversation_sid: str, *, start: str | None, limit: int, forward: bool
    ) -> list[Participant]:
        """Return participants in the order of their SIDs, or in reverse order. `start` is the first possible SID."""
        partition, (first, last) = keys.conversation(account_sid, conversation_sid).pk, keys.participants()
        if start is not None:
            position = keys.participant(account_sid, conversation_sid, start).sk
            first, last = (position, last) if forward else (first, position)
        found = self.table.query(partition, between=(first, last), limit=limit, forward=forward, consistent=True)
        return [items.to_resource(Participant, stored) for stored in found]

    def changed_participants(
        self, account_sid: str, conversation_sid: str, since: int, limit: int
    ) -> list[Participant]:
        """Return the participants that were added or changed after the event `since`."""
        partition = keys.conversation(account_sid, conversation_sid).pk
        found = self.table.query(partition, between=keys.participants(), limit=limit, consistent=True)
        return [items.to_resource(Participant, stored) for stored in found if _event_id(stored) > since]

    def memberships(
        self, account_sid: str, chat_service_sid: str, identity: str, *, start: str | None, limit: int, forward: bool
    ) -> list[SyncMembership]:
        """Return conversations of an identity in the order of their SIDs, or in reverse order.

        `start` is the first possible SID. Conversations that a chat client must not see are left out, so the result is
        empty only if there are no more conversations.
        """
        partition = keys.membership_partition(account_sid, chat_service_sid, *KnownBy("identity", identity))
        between = keys.membership_range(account_sid, start, forward=forward)
        shown: list[SyncMembership] = []
        after: Item | None = None
        while len(shown) < limit:
            entries = self.table.query(
                partition,
                index=keys.MEMBERSHIPS,
                between=between,
                after=after,
                forward=forward,
                limit=min(limit - len(shown), MEMBERSHIPS_PER_READ),
            )
            if not entries:
                break
            shown += [
                SyncMembership(items.to_resource(Conversation, conversation), items.to_resource(Participant, stored))
                for conversation, stored in self._membership_items(entries)
                if _is_shown(conversation)
            ]
            after = entries[-1]
        return shown

    def changed_memberships(
        self, account_sid: str, chat_service_sid: str, identity: str, since: int
    ) -> Iterator[SyncMembership | Departure]:
        """Yield the conversations that an identity joined, or whose participant was changed, after the event `since`.

        A conversation that was deleted after the event is a `Departure`.
        """
        partition = keys.membership_partition(account_sid, chat_service_sid, *KnownBy("identity", identity))
        after: Item | None = None
        while entries := self.table.query(partition, index=keys.MEMBERSHIPS, after=after, limit=MEMBERSHIPS_PER_READ):
            for stored, participant in self._membership_items(entries):
                if max(_event_id(participant), _number(stored, "state_event_id"), _removal_id(stored)) <= since:
                    continue
                conversation = items.to_resource(Conversation, stored)
                if conversation.date_removed:
                    yield Departure(conversation.sid, conversation.last_event_id)
                elif _is_shown(stored):
                    yield SyncMembership(conversation, items.to_resource(Participant, participant))
            after = entries[-1]

    def departures(self, account_sid: str, user_sid: str, since: int) -> Iterator[Departure]:
        """Yield the conversations that a User left after the event `since`. The User may have joined them again."""
        partition, between = keys.user(account_sid, user_sid).pk, keys.departures()
        after: Item | None = None
        while found := self.table.query(
            partition, between=between, after=after, limit=MEMBERSHIPS_PER_READ, consistent=True
        ):
            for stored in found:
                if _number(stored, "event_id") > since:
                    yield Departure(keys.sid_of_departure(key_of(stored)), _number(stored, "event_id"))
            after = found[-1]

    def _membership_items(self, entries: Sequence[Item]) -> Iterator[tuple[Item, Item]]:
        """Yield the items of the conversation and of the participant of each entry of the index `memberships`."""
        pairs = [(_conversation_key(entry), key_of(entry)) for entry in entries]
        found = self.table.get_many([key for pair in pairs for key in pair])
        for conversation_key, participant_key in pairs:
            if {conversation_key, participant_key} <= found.keys():
                yield found[conversation_key], found[participant_key]


def _conversation_key(entry: Item) -> Key:
    return keys.conversation(*keys.sids_of_conversation(key_of(entry)))


def _is_shown(conversation: Item) -> bool:
    return "date_removed" not in conversation and conversation["state"] != "initializing"


def _event_id(stored: Item) -> int:
    """Return the event id of an item. The item is not parsed, because most items have not changed."""
    return _number(stored, "event_id") or to_event_id(datetime.fromisoformat(str(stored["date_updated"])))


def _removal_id(conversation: Item) -> int:
    return _event_id(conversation) if "date_removed" in conversation else 0


def _number(stored: Item, name: str) -> int:
    value = stored.get(name, 0)
    return value if isinstance(value, int) else 0


def _expiry(event_id: int) -> datetime:
    return to_moment(event_id) + REMOVALS_LIFETIME
