"""What the hub knows of Sync objects."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from convoke.api.chat.acting import sync_of
from convoke.api.chat.resources.sync import event_type, represent_event
from convoke.api.operations import Operations
from convoke.domain.access_tokens import ChatSession
from convoke.domain.event_ids import to_event_id
from convoke.domain.events import Change
from convoke.domain.sync_objects import Action, ObjectKind, SyncObject, object_of_sid
from convoke.embedded.chat.hub import EndedMembership, Replay, SyncEvent
from convoke.operations import sync


class SyncObjects:
    """Implements SyncFeed."""

    def __init__(self, operations: Operations) -> None:
        self._sync = sync_of(operations)
        self._last_reachability_id = 0

    def replay(self, session: ChatSession, object_sid: str, since: int | None) -> Replay:
        found = self._sync.find(session.service, object_sid)
        replay = self._sync.replay(session.service, session.identity, found, since)
        return Replay([_rendered(event) for event in replay.events], replay.is_complete, replay.last_event_id)

    def conversation_of(self, object_sid: str) -> str | None:
        found = object_of_sid(object_sid)
        return found.conversation_sid if found else None

    def roster_of(self, conversation_sid: str) -> str:
        return SyncObject(ObjectKind.ROSTER, conversation_sid).sid

    def touched(self, change: Change) -> Iterable[str]:
        return dict.fromkeys(touch.object.sid for touch in self._sync.touches(change))

    def ended_memberships(self, change: Change) -> Iterator[EndedMembership]:
        for touch in change.touches:
            if touch.object.kind is ObjectKind.CHANNELS and touch.action is Action.REMOVED and touch.key:
                yield EndedMembership(touch.object.owner_sid, touch.key)

    def events(self, change: Change, object_sid: str) -> Sequence[SyncEvent]:
        found = object_of_sid(object_sid)
        return [_rendered(event) for event in self._sync.events(change, found)] if found else ()

    def reachability(self, session: ChatSession, *, is_online: bool) -> tuple[str, SyncEvent]:
        """Return the object with the fields of a User, and the event that tells whether the User is online."""
        self._last_reachability_id = max(self._last_reachability_id + 1, to_event_id(self._sync.now()))
        event = self._sync.reachability_event(
            session.user_sid, is_online=is_online, event_id=self._last_reachability_id
        )
        return event.object.sid, _rendered(event)


def _rendered(event: sync.SyncEvent) -> SyncEvent:
    return SyncEvent(event_type(event), represent_event(event))
