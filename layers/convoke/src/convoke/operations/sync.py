"""Read the Sync objects of chat clients, make their events, and replay the events that a client missed.

Convoke does not store Sync objects. Each read makes the content of an object from the stored resources. See
docs/chat.md.
"""

from __future__ import annotations

import heapq
from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import datetime
from itertools import groupby
from typing import NamedTuple

from convoke.domain.conversations import Conversation, State
from convoke.domain.errors import InvalidParameterError, SyncObjectNotFoundError
from convoke.domain.event_ids import event_id_of_sid, to_event_id
from convoke.domain.events import Change
from convoke.domain.instants import Clock
from convoke.domain.memberships import MAX_PARTICIPANTS
from convoke.domain.messages import Message, is_index
from convoke.domain.participants import Participant
from convoke.domain.services import Service
from convoke.domain.sync_data import (
    Data,
    channel_data,
    membership_data,
    message_data,
    participant_data,
    reachability_data,
    user_data,
)
from convoke.domain.sync_objects import (
    REACHABILITY,
    Action,
    ObjectKind,
    SyncObject,
    Touch,
    find_object,
    object_name,
)
from convoke.domain.users import User, user_sid
from convoke.lean_dataclass import lean_dataclass
from convoke.operations.principals import PrincipalOperations
from convoke.operations.users import UserOperations
from convoke.storage.sync import Span, SyncMembership, SyncRepository
from convoke.storage.sync_memory import Departure, RecordedTouch

REPLAY_MARGIN = 5_000_000
"""How much earlier than the requested event id a replay starts, in microseconds.

The margin is necessary because event ids contain times, and the clocks of several processes can differ. A client drops
the events that it has already received.
"""

REPLAY_BATCH = 100
"""The number of new events after which a replay ends early. The client then requests the remaining events."""

RECENT_MESSAGES = 25
"""The number of messages that a replay reads first. A client has usually missed fewer messages than this number."""

MESSAGES_PER_READ = 100


class SyncRoot(NamedTuple):
    """The properties of a Sync object without its items."""

    object: SyncObject
    name: str
    event_id: int
    date_created: datetime
    date_updated: datetime
    created_by: str | None = None
    data: Data | None = None
    """The content of a document. None if the object is a list or a map."""


class SyncItem(NamedTuple):
    """An item of a list or of a map."""

    key: str
    data: Data
    event_id: int
    date_created: datetime
    date_updated: datetime


class SyncEvent(NamedTuple):
    """A change of a Sync object, or of an item in the object."""

    object: SyncObject
    action: Action
    key: str | None
    """The key of the changed item. None if the object is a document, or if the object itself was removed."""
    event_id: int
    data: Data | None = None
    """The current content. None if the item or the object was removed."""


class Replay(NamedTuple):
    """The events of an object that a client missed, oldest first."""

    events: Sequence[SyncEvent]
    is_complete: bool
    """False if the client must request the remaining events."""
    last_event_id: int
    is_guest: bool = False
    """Whether the object belongs to a conversation that the User sees without being a member."""


class ItemsRequest(NamedTuple):
    """Says which page of the items of an object a client requests."""

    size: int
    forward: bool = True
    """Whether the items are in ascending order of their keys."""
    start: str | None = None
    """The key at which the page starts. If no item has this key, the page starts with the following item."""
    before: str | None = None
    """The key of the item that follows the page. If `before` is given, `start` is ignored."""


class ItemsPage(NamedTuple):
    items: Sequence[SyncItem]
    previous: str | None = None
    """The key to use as `before` for the previous page. None if there is no previous page."""
    next: str | None = None
    """The key to use as `start` for the next page. None if there is no next page."""


FetchItems = Callable[[Span], Sequence[SyncItem]]
"""A function that returns those items of one object that a span selects."""


@lean_dataclass
class SyncOperations:
    """Reads Sync objects for chat clients, and finds the objects that a change touches.

    Every method that takes an identity raises an error if a chat client with this identity must not see the object. A
    client can see these objects:

    - The objects of each conversation that the client can see (see `Principal.check_visible`).
    - The client's own map of conversations.
    - The map of the fields of each User in the client's service.

    For an object of a conversation in the client's service, the error is NotAParticipantError. For any other object,
    and for a conversation that is deleted or in the state `initializing`, the error is SyncObjectNotFoundError.
    """

    sync: SyncRepository
    principals: PrincipalOperations
    users: UserOperations
    now: Clock

    def find(self, service: Service, name_or_sid: str) -> SyncObject:
        """Return the object that has the given name or SID. Raises SyncObjectNotFoundError if the name is invalid."""
        found = find_object(service.sid, name_or_sid)
        if found is None:
            raise SyncObjectNotFoundError
        return found

    def root(self, service: Service, identity: str, sync_object: SyncObject) -> SyncRoot:
        match sync_object.kind:
            case ObjectKind.CHANNELS:
                self._check_own(service, identity, sync_object)
                user = self._user(service, sync_object)
                event_id = self.sync.last_membership_event_id(service.account_sid, service.sid, identity, user.sid)
                name = object_name(sync_object.kind, identity)
                return SyncRoot(sync_object, name, event_id, user.date_created, user.date_updated)
            case ObjectKind.INFO:
                user = self._user(service, sync_object)
                name = object_name(sync_object.kind, user.sid)
                return SyncRoot(sync_object, name, user.last_event_id, user.date_created, user.date_updated)
        conversation = self._conversation(service, identity, sync_object)
        data = self._channel_data(conversation) if sync_object.kind is ObjectKind.CHANNEL else None
        return SyncRoot(
            sync_object,
            object_name(sync_object.kind, conversation.sid),
            conversation.last_event_id,
            conversation.date_created,
            conversation.date_updated,
            conversation.created_by,
            data,
        )

    def items(self, service: Service, identity: str, sync_object: SyncObject, page: ItemsRequest) -> ItemsPage:
        """Return a page of the items of an object."""
        fetch = self._fetching(service, identity, sync_object)
        return _page_before(fetch, page, page.before) if page.before is not None else _page_from(fetch, page)

    def item(self, service: Service, identity: str, sync_object: SyncObject, key: str) -> SyncItem | None:
        """Return the item that has the given key, or None if there is no such item."""
        found = self._fetching(service, identity, sync_object)(Span(1, key))
        return found[0] if found and found[0].key == key else None

    def replay(self, service: Service, identity: str, sync_object: SyncObject, since: int | None) -> Replay:
        """Return the events of an object after the event id `since`, and events of the few seconds before.

        `REPLAY_MARGIN` explains these few seconds. If there are no events after `since`, the earlier events can be
        missing. If `since` is None, return the events of the last few seconds. Each event contains the current state,
        except the event of a removal. The result can be incomplete, see `REPLAY_BATCH`.
        """
        if since is None:
            since = to_event_id(self.now()) - REPLAY_MARGIN
            threshold = since
        else:
            threshold = since - REPLAY_MARGIN
        match sync_object.kind:
            case ObjectKind.CHANNELS:
                self._check_own(service, identity, sync_object)
                return _batch(self._missed_memberships(service, identity, sync_object, threshold), since)
            case ObjectKind.INFO:
                return _batch(self._missed_info(service, sync_object, threshold), since)
        conversation, participant_sid = self._visible(service, identity, sync_object)
        replay = self._missed_in(conversation, sync_object, since, threshold)
        return replay._replace(is_guest=participant_sid is None)

    def check_visible(self, service: Service, identity: str, sync_object: SyncObject) -> None:
        """Raise an error if a client must not see an object of a conversation."""
        self._visible(service, identity, sync_object)

    def _missed_in(self, conversation: Conversation, sync_object: SyncObject, since: int, threshold: int) -> Replay:
        """Return the missed events of an object that belongs to a conversation."""
        if sync_object.kind is ObjectKind.ROSTER:
            return _batch(self._missed_roster(conversation, sync_object, threshold), since)
        if conversation.last_event_id <= since and not self._may_have_receipts(conversation, sync_object):
            # The client has missed no event. Each change of the conversation or its messages increases the
            # conversation's last event id, except a new status of a receipt, which the condition rules out.
            return Replay((), is_complete=True, last_event_id=since)
        if sync_object.kind is ObjectKind.MESSAGES:
            return _batch(self._missed_messages(conversation, sync_object, threshold), since)
        return _batch([self._document_event(conversation, conversation.last_event_id)], since)

    def touches(self, change: Change) -> Iterator[Touch]:
        """Yield the touches of a change. Each touch names an object or an item that the change affects.

        A change of a conversation can affect every chat user in the conversation, because the map of conversations of
        each of these users contains the conversation. For such a change, this method reads the participants.
        """
        yield from change.touches
        if change.members_action and change.conversation_sid:
            for participant in self._members(change.account_sid, change.conversation_sid):
                if participant.identity:
                    sid = user_sid(_service_sid(change), participant.identity)
                    channels = SyncObject(ObjectKind.CHANNELS, sid)
                    yield Touch(channels, change.members_action, change.conversation_sid, participant.identity)

    def events(self, change: Change, touches: Iterable[Touch]) -> Iterator[SyncEvent]:
        """Yield an event for each touch of a change. The event contains the current state, except after a removal.

        There is no event for an item that a later change has removed, because the later change has its own event.
        """
        for touch in dict.fromkeys(touches):
            if touch.action is Action.REMOVED:
                yield SyncEvent(touch.object, touch.action, touch.key, change.last_event_id)
            elif event := self._current_event(change, touch):
                yield event

    def reachability_event(self, user_sid: str, *, is_online: bool, event_id: int) -> SyncEvent:
        """Return an event that contains whether a User is online."""
        info = SyncObject(ObjectKind.INFO, user_sid)
        return SyncEvent(info, Action.UPDATED, REACHABILITY, event_id, reachability_data(is_online=is_online))

    # Permissions: check that a client may see an object.

    def _conversation(self, service: Service, identity: str, sync_object: SyncObject) -> Conversation:
        conversation, _ = self._visible(service, identity, sync_object)
        return conversation

    def _visible(self, service: Service, identity: str, sync_object: SyncObject) -> tuple[Conversation, str | None]:
        """Check that the client may see the conversation of an object. Return the conversation and a participant SID.

        The SID belongs to the client's participant. The SID is None if the client is not a member of the conversation.
        """
        sid = sync_object.owner_sid
        conversation, participant_sid = self.sync.find_member(service.account_sid, sid, identity)
        if (
            conversation is None
            or conversation.chat_service_sid != service.sid
            or conversation.state is State.INITIALIZING
        ):
            raise SyncObjectNotFoundError
        if participant_sid is None:
            _, principal = self.principals.in_conversation(service, identity, sid)
            principal.check_visible(conversation)
        return conversation, participant_sid

    @staticmethod
    def _check_own(service: Service, identity: str, sync_object: SyncObject) -> None:
        if sync_object.owner_sid != user_sid(service.sid, identity):
            raise SyncObjectNotFoundError

    def _user(self, service: Service, sync_object: SyncObject) -> User:
        user = self.users.users.fetch(service.account_sid, sync_object.owner_sid)
        if user is None or user.chat_service_sid != service.sid:
            raise SyncObjectNotFoundError
        return user

    # The items.

    def _fetching(self, service: Service, identity: str, sync_object: SyncObject) -> FetchItems:
        """Check that the client may see the object. Return a function that fetches the items of the object.

        Raises SyncObjectNotFoundError if the object does not exist, has no items, or is another User's map of
        conversations. Raises another error if the client must not see the conversation of the object.
        """
        account_sid, sid = service.account_sid, sync_object.owner_sid
        match sync_object.kind:
            case ObjectKind.MESSAGES:
                self._conversation(service, identity, sync_object)
                return lambda span: [
                    message_item(each) for each in self.sync.messages(account_sid, sid, _checked_index(span))
                ]
            case ObjectKind.ROSTER:
                self._conversation(service, identity, sync_object)
                return lambda span: [
                    participant_item(each, service.sid) for each in self.sync.participants(account_sid, sid, span)
                ]
            case ObjectKind.CHANNELS:
                self._check_own(service, identity, sync_object)
                return lambda span: [
                    membership_item(each) for each in self.sync.memberships(account_sid, service.sid, identity, span)
                ]
            case ObjectKind.INFO:
                return _fetching_from(self._info_items(service, self._user(service, sync_object)))
        # A document has no items.
        raise SyncObjectNotFoundError

    def _info_items(self, service: Service, user: User) -> list[SyncItem]:
        data = user_data(user, is_online=bool(self.users.is_online(service, user)))
        return [
            SyncItem(key, value, user.last_event_id, user.date_created, user.date_updated)
            for key, value in data.items()
        ]

    def _channel_data(self, conversation: Conversation) -> Data:
        last = self.sync.messages(conversation.account_sid, conversation.sid, Span(1, forward=False))
        return channel_data(conversation, last[0] if last else None)

    def _members(self, account_sid: str, conversation_sid: str) -> Sequence[Participant]:
        return self.sync.participants(account_sid, conversation_sid, Span(MAX_PARTICIPANTS))

    # The events of a change.

    def _current_event(self, change: Change, touch: Touch) -> SyncEvent | None:
        account_sid, sid = change.account_sid, touch.object.owner_sid
        if touch.object.kind is ObjectKind.CHANNEL:
            conversation = self.principals.conversations.conversations.fetch(account_sid, sid)
            if conversation is None or conversation.state is State.INITIALIZING:
                return None
            return self._document_event(conversation, change.last_event_id)
        item = self._current_item(account_sid, touch, _service_sid(change))
        return _item_event(touch.object, touch.action, item, change.last_event_id) if item else None

    def _current_item(self, account_sid: str, touch: Touch, service_sid: str) -> SyncItem | None:
        key, sid = touch.key or "", touch.object.owner_sid
        match touch.object.kind:
            case ObjectKind.MESSAGES:
                message = self._message(account_sid, sid, int(key))
                return message_item(message) if message else None
            case ObjectKind.ROSTER:
                participant = self.principals.participants.fetch(account_sid, sid, key)
                return participant_item(participant, service_sid) if participant else None
            case ObjectKind.CHANNELS:
                found = self.sync.memberships(account_sid, service_sid, touch.identity or "", Span(1, key))
                return membership_item(found[0]) if found and found[0].conversation.sid == key else None
        user = self.users.users.fetch(account_sid, sid)
        if user is None:
            return None
        data = user_data(user, is_online=False)[key]
        return SyncItem(key, data, user.last_event_id, user.date_created, user.date_updated)

    def _message(self, account_sid: str, conversation_sid: str, index: int) -> Message | None:
        found = self.sync.messages(account_sid, conversation_sid, Span(1, str(index)))
        return found[0] if found and found[0].index == index else None

    def _document_event(self, conversation: Conversation, event_id: int) -> SyncEvent:
        document = SyncObject(ObjectKind.CHANNEL, conversation.sid)
        return SyncEvent(document, Action.UPDATED, None, event_id, self._channel_data(conversation))

    # Replays. Each method `_missed_...` below returns or yields the events that a client may have missed, in ascending
    # order of their ids. The parameter `threshold` is the event id after which the replay starts. See REPLAY_MARGIN.

    def _missed_info(self, service: Service, sync_object: SyncObject, threshold: int) -> list[SyncEvent]:
        user = self._user(service, sync_object)
        items = self._info_items(service, user)
        if user.last_event_id <= threshold:
            items = [item for item in items if item.key == REACHABILITY]
        # Convoke does not store when a User came online or went offline. Therefore each replay of a User's fields
        # contains an event for the field REACHABILITY, as if this field had changed now.
        now = max(to_event_id(self.now()), user.last_event_id)
        ids = {REACHABILITY: now}
        events = [_item_event(sync_object, Action.UPDATED, item, ids.get(item.key, item.event_id)) for item in items]
        return sorted(events, key=_event_id)

    def _missed_memberships(
        self, service: Service, identity: str, sync_object: SyncObject, threshold: int
    ) -> list[SyncEvent]:
        events: dict[str, SyncEvent] = {}
        found = self.sync.changed_memberships(service.account_sid, service.sid, identity, threshold)
        gone = self.sync.departures(service.account_sid, sync_object.owner_sid, threshold)
        for each in (*found, *gone):
            event = _membership_event(sync_object, each, threshold)
            # If a User left and joined again, the User has a participant (in `found`) and a record of leaving (in
            # `gone`). Keep the event of the participant, which is newer.
            events.setdefault(event.key or "", event)
        return sorted(events.values(), key=_event_id)

    def _missed_roster(
        self, conversation: Conversation, sync_object: SyncObject, threshold: int
    ) -> Iterable[SyncEvent]:
        account_sid, sid = conversation.account_sid, conversation.sid
        changed = [
            _item_event(
                sync_object,
                Action.ADDED if event_id_of_sid(each.sid) > threshold else Action.UPDATED,
                participant_item(each, conversation.chat_service_sid),
                each.last_event_id,
            )
            for each in self.sync.changed_participants(account_sid, sid, threshold, MAX_PARTICIPANTS)
        ]
        removed = (
            SyncEvent(sync_object, touch.action, touch.key, touch.event_id)
            for touch in self._touches_since(conversation, ObjectKind.ROSTER, threshold)
        )
        return heapq.merge(sorted(changed, key=_event_id), removed, key=_event_id)

    def _missed_messages(
        self, conversation: Conversation, sync_object: SyncObject, threshold: int
    ) -> Iterator[SyncEvent]:
        """Yield an event for each new message, and an event for each edited or deleted message.

        If one of the last RECENT_MESSAGES messages has a new receipt status, also yield an event for this message.

        A new message that was edited has two events with the same data. The first event has the event id of the
        creation. Therefore a replay that ends early contains every new message that was created before the last
        event of the replay.
        """
        account_sid, sid = conversation.account_sid, conversation.sid
        recent = self.sync.messages(account_sid, sid, Span(RECENT_MESSAGES, forward=False))[::-1]
        created = (
            _item_event(sync_object, Action.ADDED, message_item(each), each.first_event_id)
            for each in self._created_since(conversation, recent, threshold)
        )
        # Convoke stores a `RecordedTouch` for an edit, but not for a new status of a receipt. The status changes only
        # the message, so find the changed messages by their event ids.
        changed = [
            _item_event(sync_object, Action.UPDATED, message_item(each), each.last_event_id)
            for each in recent
            if each.first_event_id <= threshold < each.last_event_id
        ]
        touched = (
            event
            for touch in self._touches_since(conversation, ObjectKind.MESSAGES, threshold)
            if (event := self._touched_message(conversation, sync_object, touch, threshold))
        )
        merged = heapq.merge(created, sorted(changed, key=_event_id), touched, key=_event_id)
        # The event of an edited recent message may be both in `changed` and in `touched`. Yield the event only once.
        yield from (next(same) for _, same in groupby(merged, key=lambda event: (event.event_id, event.key)))

    @staticmethod
    def _may_have_receipts(conversation: Conversation, sync_object: SyncObject) -> bool:
        """Return whether a new status of a receipt can change the object.

        Only the list of messages shows the statuses of receipts, and only participants with a binding have receipts. A
        new status does not increase the last event id of the conversation.
        """
        return sync_object.kind is ObjectKind.MESSAGES and bool(conversation.bound)

    def _touched_message(
        self, conversation: Conversation, sync_object: SyncObject, touch: RecordedTouch, threshold: int
    ) -> SyncEvent | None:
        if touch.action is Action.REMOVED:
            return SyncEvent(sync_object, touch.action, touch.key, touch.event_id)
        message = self._message(conversation.account_sid, conversation.sid, int(touch.key))
        if message is None:
            return None
        action = Action.ADDED if message.first_event_id > threshold else Action.UPDATED
        return _item_event(sync_object, action, message_item(message), touch.event_id)

    def _created_since(
        self, conversation: Conversation, recent: Sequence[Message], threshold: int
    ) -> Iterator[Message]:
        """Yield the messages that were created after the event id `threshold`, oldest first.

        `recent` are the last messages of the conversation, at most RECENT_MESSAGES.
        """
        account_sid, sid = conversation.account_sid, conversation.sid
        if len(recent) < RECENT_MESSAGES or recent[0].first_event_id <= threshold:
            yield from (each for each in recent if each.first_event_id > threshold)
            return
        start = self._first_index_after(conversation, recent[0].index, threshold)
        while found := self.sync.messages(account_sid, sid, Span(MESSAGES_PER_READ, str(start))):
            yield from (each for each in found if each.first_event_id > threshold)
            start = found[-1].index + 1

    def _first_index_after(self, conversation: Conversation, last: int, threshold: int) -> int:
        """Return the index of the first message that was created after the event id `threshold`.

        `last` is the index of a message that was created after this event id. The method uses a binary search, because
        messages with a greater index were created later.
        """
        low, high = 0, last
        while low < high:
            middle = (low + high) // 2
            found = self.sync.messages(conversation.account_sid, conversation.sid, Span(1, str(middle)))
            # If nothing is found, the messages from `middle` on were deleted in the meantime.
            if not found or found[0].first_event_id > threshold:
                high = middle
            else:
                low = found[0].index + 1
        return low

    def _touches_since(self, conversation: Conversation, kind: ObjectKind, threshold: int) -> Iterator[RecordedTouch]:
        since = threshold
        while found := self.sync.touches(conversation.account_sid, conversation.sid, kind, since, REPLAY_BATCH):
            yield from found
            since = found[-1].event_id


def message_item(message: Message) -> SyncItem:
    data = message_data(message)
    return SyncItem(str(message.index), data, message.last_event_id, message.date_created, message.date_updated)


def participant_item(participant: Participant, chat_service_sid: str) -> SyncItem:
    data = participant_data(participant, chat_service_sid)
    dates = participant.date_created, participant.date_updated
    return SyncItem(participant.sid, data, participant.last_event_id, *dates)


def membership_item(membership: SyncMembership) -> SyncItem:
    conversation, participant = membership
    data = membership_data(conversation, participant)
    dates = participant.date_created, participant.date_updated
    return SyncItem(conversation.sid, data, membership.event_id, *dates)


def _checked_index(span: Span) -> Span:
    """Return the span unchanged. Raises InvalidParameterError if the start of the span cannot be a message index."""
    if span.start is not None and not is_index(span.start):
        raise InvalidParameterError(parameter="From", wanted="the index of a message")
    return span


def _item_event(sync_object: SyncObject, action: Action, item: SyncItem, event_id: int) -> SyncEvent:
    return SyncEvent(sync_object, action, item.key, event_id, item.data)


def _membership_event(sync_object: SyncObject, found: SyncMembership | Departure, threshold: int) -> SyncEvent:
    if isinstance(found, Departure):
        return SyncEvent(sync_object, Action.REMOVED, found.conversation_sid, found.event_id)
    item = membership_item(found)
    joined = max(event_id_of_sid(found.participant.sid), found.conversation.state_event_id or 0)
    return _item_event(sync_object, Action.ADDED if joined > threshold else Action.UPDATED, item, item.event_id)


def _event_id(event: SyncEvent) -> int:
    return event.event_id


def _service_sid(change: Change) -> str:
    """Return the SID of the service to which a change belongs. The change must have events."""
    return change.own_events[0].payload["ChatServiceSid"]


def _batch(events: Iterable[SyncEvent], since: int) -> Replay:
    """Return the first events of a replay. The batch ends after REPLAY_BATCH events that are newer than `since`.

    Older events do not count, because the client has already received them. If they counted, a batch could contain only
    such events, and the client would request the same batch again. Events with the same id are in the same batch.
    """
    taken: list[SyncEvent] = []
    newer = 0
    for event in events:
        if newer >= REPLAY_BATCH and event.event_id > taken[-1].event_id:
            return Replay(taken, is_complete=False, last_event_id=taken[-1].event_id)
        taken.append(event)
        newer += event.event_id > since
    return Replay(taken, is_complete=True, last_event_id=max(since, taken[-1].event_id if taken else 0))


def _page_from(fetch: FetchItems, page: ItemsRequest) -> ItemsPage:
    found = fetch(Span(page.size + 1, page.start, page.forward))
    items = found[: page.size]
    following = found[page.size].key if len(found) > page.size else None
    first = items[0].key if items else page.start
    if page.start is None or first is None:
        return ItemsPage(items, None, following)
    earlier = [each for each in fetch(Span(2, first, not page.forward)) if each.key != first]
    return ItemsPage(items, first if earlier else None, following)


def _page_before(fetch: FetchItems, page: ItemsRequest, before: str) -> ItemsPage:
    found = [each for each in fetch(Span(page.size + 2, before, not page.forward)) if each.key != before]
    items = found[: page.size][::-1]
    return ItemsPage(items, items[0].key if len(found) > page.size else None, before)


def _fetching_from(items: Sequence[SyncItem]) -> FetchItems:
    """Return a function that fetches items from `items`. The items must be in ascending order of their keys."""

    def fetch(span: Span) -> Sequence[SyncItem]:
        ordered = items if span.forward else items[::-1]
        if start := span.start:
            ordered = [each for each in ordered if (each.key >= start if span.forward else each.key <= start)]
        return ordered[: span.limit]

    return fetch
