"""Read Sync objects and events for the hub (hub.py), which notifies chat clients about changes.

`SyncFeed` implements the protocol `Feed` of hub.py with the operations of the API.
"""

from __future__ import annotations

from collections.abc import Iterable

from convoke.api.chat.acting import sync_of
from convoke.api.operations import Operations
from convoke.domain.access_tokens import ChatSession
from convoke.domain.event_ids import to_event_id
from convoke.domain.events import Change
from convoke.domain.services import Service
from convoke.domain.sync_objects import SyncObject, Touch
from convoke.operations.sync import Replay, SyncEvent


class SyncFeed:
    def __init__(self, operations: Operations) -> None:
        self._operations = operations
        self._sync = sync_of(operations)
        self._last_reachability_id = 0

    def replay(self, session: ChatSession, sync_object: SyncObject, since: int | None) -> Replay:
        return self._sync.replay(self._service(session), session.identity, sync_object, since)

    def check_visible(self, session: ChatSession, sync_object: SyncObject) -> None:
        self._sync.check_visible(self._service(session), session.identity, sync_object)

    def touches(self, change: Change) -> Iterable[Touch]:
        return self._sync.touches(change)

    def events(self, change: Change, touches: Iterable[Touch]) -> Iterable[SyncEvent]:
        return self._sync.events(change, touches)

    def reachability(self, session: ChatSession) -> SyncEvent | None:
        if not self._service(session).reachability_enabled:
            return None
        is_online = self._operations.users.presence.is_online(session.user_sid)
        self._last_reachability_id = max(self._last_reachability_id + 1, to_event_id(self._sync.now()))
        return self._sync.reachability_event(session.user_sid, is_online=is_online, event_id=self._last_reachability_id)

    def _service(self, session: ChatSession) -> Service:
        """Fetch the current settings of the session's service, because `session.service` can be outdated."""
        return self._operations.services.fetch(session.account.sid, session.service.sid)
