"""What the hub knows of Sync objects."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from convoke.domain.access_tokens import ChatSession
from convoke.domain.errors import NotFoundError
from convoke.domain.events import Change
from convoke.embedded.chat.hub import EndedMembership, Replay, SyncEvent


class NoObjects:
    def replay(self, session: ChatSession, object_sid: str, since: int | None) -> Replay:
        raise NotFoundError

    def conversation_of(self, object_sid: str) -> str | None:
        return None

    def roster_of(self, conversation_sid: str) -> str:
        return conversation_sid

    def touched(self, change: Change) -> Iterable[str]:
        return ()

    def ended_memberships(self, change: Change) -> Iterable[EndedMembership]:
        return ()

    def events(self, change: Change, object_sid: str) -> Sequence[SyncEvent]:
        return ()
