"""Queue the frames for one chat client, limit its calls, and send pings and warnings when they are due."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from http import HTTPStatus
from typing import Any
from uuid import uuid4

from convoke.api.chat import frames
from convoke.domain.access_tokens import ChatSession
from convoke.domain.errors import AccessTokenExpiredError, ConversationsError
from convoke.domain.sync_objects import SyncObject
from convoke.embedded.chat.limits import (
    CLOSE_TIMEOUT_SECONDS,
    EXPIRY_WARNING_SECONDS,
    MAX_CALLS_AT_ONCE,
    MAX_CALLS_PER_SECOND,
    MAX_UNSENT_BYTES,
    PING_SECONDS,
    REVOCATION_CHECK_SECONDS,
)
from convoke.embedded.gateway import Send

CUT = "convoke.cut"
"""The name of an extension in the ASGI scope. The extension contains the function that cuts the connection."""

NORMAL_CLOSURE = 1000
"""The code that closes a WebSocket (RFC 6455, section 7.4.1)."""


class Connection:
    """Queues the frames for one client. Only the task `write` sends the queued frames, in their order."""

    def __init__(self, send: Send, cut: Callable[[], None]) -> None:
        """`cut` ends the TCP connection immediately, even if the client reads nothing."""
        self._send = send
        self._cut = cut
        self._frames: deque[bytes] = deque()
        self._unsent_bytes = 0
        self._has_frames = asyncio.Event()
        self._has_room = asyncio.Event()
        self._has_room.set()
        self.is_closing = False
        """Whether no more frames are accepted, because the last frame is queued or the connection has ended."""
        self._deadline: asyncio.TimerHandle | None = None

    def send(self, frame: bytes) -> None:
        """Queue the reply to a frame from the client."""
        if not self.is_closing:
            self._queue(frame)

    def notify(self, frame: bytes) -> None:
        """Queue a frame that is not a reply. Cut the connection if the client reads too slowly."""
        if self.is_closing:
            return
        if self._unsent_bytes >= MAX_UNSENT_BYTES:
            self.cut()
        else:
            self._queue(frame)

    def close(self, status: dict[str, Any], payload: Any = None) -> None:
        """Tell the client why the connection ends. Then close the connection."""
        self.end(frames.close(new_id(), status, payload))

    def refuse(self, error: ConversationsError) -> None:
        """Close the connection, because the token of the client is no longer valid."""
        code = HTTPStatus.GONE if isinstance(error, AccessTokenExpiredError) else error.status
        self.close(frames.status_of(code, error.code, error.message))

    def end(self, last_frame: bytes) -> None:
        """Send the last frame and close the connection."""
        self.send(last_frame)
        self.finish()

    def finish(self) -> None:
        """Close the connection after the queued frames are sent. After CLOSE_TIMEOUT_SECONDS, cut the connection."""
        if not self.is_closing:
            self.is_closing = True
            self._deadline = asyncio.get_running_loop().call_later(CLOSE_TIMEOUT_SECONDS, self.cut)
            self._has_frames.set()

    def cut(self) -> None:
        """End the connection immediately."""
        self.is_closing = True
        self._frames.clear()
        self._has_room.set()
        self._has_frames.set()
        self._cut()

    async def write(self) -> None:
        """Send the queued frames until the connection ends. Then close the WebSocket."""
        try:
            while self._frames or not self.is_closing:
                await self._write_next()
            await self._send({"type": "websocket.close", "code": NORMAL_CLOSURE})
        finally:
            self.is_closing = True
            if self._deadline:
                self._deadline.cancel()

    async def _write_next(self) -> None:
        if not self._frames:
            self._has_frames.clear()
            await self._has_frames.wait()
            return
        frame = self._frames.popleft()
        await self._send({"type": "websocket.send", "bytes": frame})
        self._unsent_bytes -= len(frame)
        if self._unsent_bytes < MAX_UNSENT_BYTES:
            self._has_room.set()

    async def room(self) -> None:
        """Wait while the unsent frames have MAX_UNSENT_BYTES or more."""
        await self._has_room.wait()

    def _queue(self, frame: bytes) -> None:
        self._frames.append(frame)
        self._unsent_bytes += len(frame)
        if self._unsent_bytes >= MAX_UNSENT_BYTES:
            self._has_room.clear()
        self._has_frames.set()


class CallRate:
    """Limits how fast the server reads the calls of one connection. The limit is a token bucket."""

    def __init__(self, now: float) -> None:
        self._left = float(MAX_CALLS_AT_ONCE)
        self._filled_at = now

    def pause(self, now: float) -> float:
        """Count one call. Return the number of seconds to wait before the server reads the next call."""
        self._left = min(self._left + (now - self._filled_at) * MAX_CALLS_PER_SECOND, float(MAX_CALLS_AT_ONCE)) - 1
        self._filled_at = now
        return max(0.0, -self._left / MAX_CALLS_PER_SECOND)


class ChatClient:
    """A connected chat client: its connection, the session of its access token, and its subscriptions."""

    def __init__(self, connection: Connection, session: ChatSession, now: float) -> None:
        self.connection = connection
        self.session = session
        self.next_ping = now + PING_SECONDS
        self.next_check = now + REVOCATION_CHECK_SECONDS
        """The time of the next check whether the API key and the User still exist."""
        self.is_warned = False
        """Whether the server has sent the frame that announces the end of the access token."""
        self.subscriptions: set[SyncObject] = set()
        """The Sync objects to which the client has subscribed. Only the hub changes this set."""
        self.guest_subscriptions: set[SyncObject] = set()
        """The subscriptions to objects of conversations of which the User is not a member."""
        self.waiting_subscriptions = 0
        """The number of requests to subscribe or to cancel a subscription that wait in the hub."""

    def renew(self, session: ChatSession) -> None:
        """Replace the session by the session of a newer access token."""
        self.session = session
        self.is_warned = False

    def tick(self, now: float, wall_clock: float) -> None:
        """Close the connection if the access token has expired.

        Otherwise, send the warning before the expiry and the next ping when they are due.
        """
        left = self.session.expires_at.timestamp() - wall_clock
        if left <= 0:
            self.connection.refuse(AccessTokenExpiredError())
        elif left <= EXPIRY_WARNING_SECONDS and not self.is_warned:
            self.is_warned = True
            self.connection.notify(frames.client_update(new_id(), "token_about_to_expire"))
        if now >= self.next_ping:
            self.next_ping = now + PING_SECONDS
            self.connection.notify(frames.ping(new_id()))


def new_id() -> str:
    """Return a new id for a frame from the server."""
    return f"TM{uuid4().hex}"
