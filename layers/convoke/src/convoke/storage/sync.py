"""Read the stored resources from which Convoke derives the Sync objects of chat clients.

See docs/decisions/0155-sync-objects-are-projections.md.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import NamedTuple

from convoke.domain.conversations import Conversation
from convoke.domain.event_ids import to_event_id
from convoke.domain.messages import Message
from convoke.domain.participants import KnownBy, Participant
from convoke.domain.sids import greatest_sid_with_index, least_sid_with_index
from convoke.domain.sync_objects import ObjectKind
from convoke.lean_dataclass import lean_dataclass
from convoke.storage import items, keys
from convoke.storage.sync_memory import Departure, RecordedTouch
from convoke.storage.table import Item, Key, Table, key_of

MEMBERSHIPS_PER_READ = 50
"""The maximum number of memberships in one call of `get_many`.

Each membership needs two keys, and `get_many` accepts at most 100 keys.
"""


class Span(NamedTuple):
    """Selects adjacent items of a list. The items are ordered by key."""

    limit: int
    start: str | None = None
    """The key at which the span starts. An item with this key belongs to the span. None means the start of the list."""
    forward: bool = True
    """Whether the keys are in ascending order. In a descending span, the list starts with the greatest key."""

    def limited(self, first: str, last: str, position: str) -> tuple[str, str]:
        """Return the part of the range `first` to `last` that starts at `position`, in the direction of the span."""
        return (position, last) if self.forward else (first, position)


class SyncMembership(NamedTuple):
    """A User's conversation, and the User's participant in this conversation."""

    conversation: Conversation
    participant: Participant

    @property
    def event_id(self) -> int:
        """The event id of the last change of this membership in the User's map of conversations.

        A change of the conversation's state counts too, because clients see a new conversation only when it leaves
        `initializing`. The change of the state is later than the change that stored the participant.
        """
        return max(self.participant.last_event_id, self.conversation.state_event_id or 0)


@lean_dataclass
class SyncRepository:
    table: Table

    def find_member(
        self, account_sid: str, conversation_sid: str, identity: str
    ) -> tuple[Conversation | None, str | None]:
        """Return a conversation, and the SID of its participant with the given identity.

        The SID is None if there is no such participant. Both values are None if the conversation does not exist or was
        deleted.
        """
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
        """Return the stored touches of a Sync object after the event id `since`, oldest first.

        Convoke stores the touches of edited messages, deleted messages and removed participants for seven days. `kind`
        is the kind of the Sync object, which belongs to a conversation. The result has at most `limit` touches.
        """
        partition = keys.conversation(account_sid, conversation_sid).pk
        between = keys.sync_touches(kind, keys.touch_position(since + 1))
        found = self.table.query(partition, between=between, limit=limit, consistent=True)
        return [items.to_resource(RecordedTouch, stored) for stored in found]

    def messages(self, account_sid: str, conversation_sid: str, span: Span) -> list[Message]:
        """Return messages in the order of their indexes. The start of the span is an index."""
        first, last = keys.messages()
        if span.start is not None:
            sid = (least_sid_with_index if span.forward else greatest_sid_with_index)(int(span.start))
            first, last = span.limited(first, last, keys.message(account_sid, conversation_sid, sid).sk)
        return self._query(Message, account_sid, conversation_sid, (first, last), span)

    def participants(self, account_sid: str, conversation_sid: str, span: Span) -> list[Participant]:
        """Return participants in the order of their SIDs. The start of the span is a SID."""
        first, last = keys.participants()
        if span.start is not None:
            position = keys.participant(account_sid, conversation_sid, span.start).sk
            first, last = span.limited(first, last, position)
        return self._query(Participant, account_sid, conversation_sid, (first, last), span)

    def changed_participants(
        self, account_sid: str, conversation_sid: str, since: int, limit: int
    ) -> list[Participant]:
        """Return the participants that were added or changed after the event id `since`.

        The method reads at most `limit` participants of the conversation.
        """
        partition = keys.conversation(account_sid, conversation_sid).pk
        found = self.table.query(partition, between=keys.participants(), limit=limit, consistent=True)
        return [items.to_resource(Participant, stored) for stored in found if _event_id(stored) > since]

    def memberships(self, account_sid: str, chat_service_sid: str, identity: str, span: Span) -> list[SyncMembership]:
        """Return conversations of an identity in the order of their SIDs. The start of the span is a SID.

        The result contains neither deleted nor `initializing` conversations. The result has fewer conversations than
        `span.limit` only if there are no more conversations.
        """
        partition = keys.membership_partition(account_sid, chat_service_sid, *KnownBy("identity", identity))
        between = keys.membership_range(account_sid, span.start, forward=span.forward)
        shown: list[SyncMembership] = []
        after: Item | None = None
        while len(shown) < span.limit:
            entries = self.table.query(
                partition,
                index=keys.MEMBERSHIPS,
                between=between,
                after=after,
                forward=span.forward,
                limit=min(span.limit - len(shown), MEMBERSHIPS_PER_READ),
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
        """Yield the memberships of an identity that were added or changed after the event id `since`.

        If the conversation of a membership was deleted after `since`, yield a `Departure` with the SID of the
        conversation instead. Skip conversations in the state `initializing`.
        """
        for stored, participant in self._every_membership(account_sid, chat_service_sid, identity):
            if _membership_event_id(stored, participant) <= since:
                continue
            conversation = items.to_resource(Conversation, stored)
            if conversation.date_removed:
                yield Departure(conversation.sid, conversation.last_event_id)
            elif _is_shown(stored):
                yield SyncMembership(conversation, items.to_resource(Participant, participant))

    def last_membership_event_id(self, account_sid: str, chat_service_sid: str, identity: str, user_sid: str) -> int:
        """Return the greatest event id of the memberships and departures of a User, or 0 if the User has none.

        A departure is a record that the User left a conversation (see `departures`).
        """
        memberships = self._every_membership(account_sid, chat_service_sid, identity)
        departures = self.departures(account_sid, user_sid, 0)
        return max(
            max((_membership_event_id(*pair) for pair in memberships), default=0),
            max((departure.event_id for departure in departures), default=0),
        )

    def departures(self, account_sid: str, user_sid: str, since: int) -> Iterator[Departure]:
        """Yield each departure of a User after the event id `since`.

        A departure is a record that the User left a conversation. Convoke keeps the record for seven days. The User may
        have joined the conversation again after the departure.
        """
        partition, between = keys.user(account_sid, user_sid).pk, keys.departures()
        after: Item | None = None
        while found := self.table.query(
            partition, between=between, after=after, limit=MEMBERSHIPS_PER_READ, consistent=True
        ):
            for stored in found:
                if _number(stored, "event_id") > since:
                    yield Departure(keys.sid_of_departure(key_of(stored)), _number(stored, "event_id"))
            after = found[-1]

    def _every_membership(self, account_sid: str, chat_service_sid: str, identity: str) -> Iterator[tuple[Item, Item]]:
        """Yield two items for each membership of an identity: the conversation and the participant."""
        partition = keys.membership_partition(account_sid, chat_service_sid, *KnownBy("identity", identity))
        after: Item | None = None
        while entries := self.table.query(partition, index=keys.MEMBERSHIPS, after=after, limit=MEMBERSHIPS_PER_READ):
            yield from self._membership_items(entries)
            after = entries[-1]

    def _query(
        self,
        model: type[items.AnyModel],
        account_sid: str,
        conversation_sid: str,
        between: tuple[str, str],
        span: Span,
    ) -> list[items.AnyModel]:
        partition = keys.conversation(account_sid, conversation_sid).pk
        found = self.table.query(partition, between=between, limit=span.limit, forward=span.forward, consistent=True)
        return [items.to_resource(model, stored) for stored in found]

    def _membership_items(self, entries: Sequence[Item]) -> Iterator[tuple[Item, Item]]:
        """Yield the items of the conversation and the participant for each entry of the index `memberships`.

        Skip an entry if its conversation or its participant no longer exists.
        """
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
    """Return the event id of an item.

    The function does not convert the item to a resource, because the callers skip most items.
    """
    return _number(stored, "event_id") or to_event_id(datetime.fromisoformat(str(stored["date_updated"])))


def _membership_event_id(conversation: Item, participant: Item) -> int:
    """Return the event id of the last change of a membership. See `SyncMembership.event_id`.

    If the conversation was deleted, return the event id of the deletion.
    """
    if "date_removed" in conversation:
        return _event_id(conversation)
    return max(_event_id(participant), _number(conversation, "state_event_id"))


def _number(stored: Item, name: str) -> int:
    value = stored.get(name, 0)
    return value if isinstance(value, int) else 0
