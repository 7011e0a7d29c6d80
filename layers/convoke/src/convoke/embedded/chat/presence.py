"""Determine which Users are online.

A User is online while at least one chat client of the User is connected, and for OFFLINE_GRACE_SECONDS after that.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable

from convoke.domain.access_tokens import ChatSession
from convoke.embedded.chat.limits import OFFLINE_GRACE_SECONDS


class ConnectedUsers:
    """Implements `Presence`. Only the event loop's thread changes this object."""

    def __init__(self) -> None:
        self._clients: Counter[str] = Counter()
        """Maps each User to the number of connected clients."""
        self._leaving: dict[str, asyncio.TimerHandle] = {}
        """The timers of Users who will soon go offline. The key is the User.

        A timer starts when the User's last client disconnects, and ends after OFFLINE_GRACE_SECONDS.
        """
        self.on_change: Callable[[ChatSession], None] = lambda _: None
        """The object calls this function when a User comes online or goes offline."""

    def is_online(self, user_sid: str) -> bool:
        return user_sid in self._clients or user_sid in self._leaving

    def arrived(self, session: ChatSession) -> None:
        was_online = self.is_online(session.user_sid)
        if timer := self._leaving.pop(session.user_sid, None):
            timer.cancel()
        self._clients[session.user_sid] += 1
        if not was_online:
            self.on_change(session)

    def left(self, session: ChatSession) -> None:
        sid = session.user_sid
        self._clients[sid] -= 1
        if not self._clients[sid]:
            del self._clients[sid]
            self._leaving[sid] = asyncio.get_running_loop().call_later(OFFLINE_GRACE_SECONDS, self._gone, session)

    def _gone(self, session: ChatSession) -> None:
        del self._leaving[session.user_sid]
        self.on_change(session)
