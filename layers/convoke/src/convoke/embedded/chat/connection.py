"""Manage one connection of a chat client: queue frames, limit calls, and send pings and warnings."""

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
"""The name of an ASGI extension. The extension contains the function that cuts the connection."""

NORMAL_CLOSURE = 1000
"""The code with which a WebSocket closes normally (RFC 6455, section 7.4.1)."""


class Connection:
    """Queues the frames for one client. Only the task `write` sends frames, in the order of the queue."""

    def __init__(self, send: Send, cut: Callable[[], None]) -> None:
        """`cut` must end the TCP connection immediately, even if the client reads nothing."""
        self._send = send
        self._cut = cut
        self._frames: deque[bytes] = deque()
        self._unsent_bytes = 0
        self._has_frames = asyncio.Event()
        self._has_room = asyncio.Event()
        self._has_room.set()
        self.is_closing = False
        """Whether the connection accepts no more frames.

        This is true after the last frame is queued, or after the connection has ended.
        """
        self._deadline: asyncio.TimerHandle | None = None

    def send(self, frame: bytes) -> None:
        """Queue a frame, even if the client reads too slowly. Use this method for replies, and for the last frame."""
        if not self.is_closing:
            self._queue(frame)

    def notify(self, frame: bytes) -> None:
        """Queue a frame that is not a reply. If the client reads too slowly, cut the connection instead."""
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
        """Close the connection, because the client's token is no longer valid."""
        code = HTTPStatus.GONE if isinstance(error, AccessTokenExpiredError) else error.status
        self.close(frames.status_of(code, error.code, error.message))

    def end(self, last_frame: bytes) -> None:
        """Queue the last frame, and close the connection."""
        self.send(last_frame)
        self.finish()

    def finish(self) -> None:
        """Close the connection after all queued frames are sent. After CLOSE_TIMEOUT_SECONDS, cut the connection."""
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
        """Wait until the unsent frames are smaller than MAX_UNSENT_BYTES in total, or until the connection is cut."""
        await self._has_room.wait()

    def _queue(self, frame: bytes) -> None:
        self._frames.append(frame)
        self._unsent_bytes += len(frame)
        if self._unsent_bytes >= MAX_UNSENT_BYTES:
            self._has_room.clear()
        self._has_frames.set()


class CallRate:
    """Limits how fast the server reads the calls of one connection (token bucket)."""

    def __init__(self, now: float) -> None:
        self._left = float(MAX_CALLS_AT_ONCE)
        self._filled_at = now

    def pause(self, now: float) -> float:
        """Count one call. Return how many seconds the server must wait before it reads the next call."""
        self._left = min(self._left + (now - self._filled_at) * MAX_CALLS_PER_SECOND, float(MAX_CALLS_AT_ONCE)) - 1
        self._filled_at = now
        return max(0.0, -self._left / MAX_CALLS_PER_SECOND)


class ChatClient:
    """A connected chat client: the connection, the session of its access token, and its subscriptions."""

    def __init__(self, connection: Connection, session: ChatSession, now: float) -> None:
        self.connection = connection
        self.session = session
        self.next_ping = now + PING_SECONDS
        self.next_check = now + REVOCATION_CHECK_SECONDS
        """When the server next checks that the API key, the User and the service are still valid."""
        self.is_warned = False
        """Whether the server has warned the client that the access token will expire soon."""
        self.subscriptions: set[SyncObject] = set()
        """The Sync objects that the client subscribes to. Only hub.py, which manages subscriptions, changes the set."""
        self.guest_subscriptions: set[SyncObject] = set()
        """The subscriptions to conversations that the User can see without being a member."""
        self.waiting_subscriptions = 0
        """The number of this client's requests that wait in the queue of hub.py.

        Each request starts or cancels one subscription.
        """

    def renew(self, session: ChatSession) -> None:
        """Use the session of a newer access token from now on."""
        self.session = session
        self.is_warned = False

    def tick(self, now: float, wall_clock: float) -> None:
        """Close the connection if the access token has expired.

        Otherwise send the warning about the expiry and the next ping when each of them is due. `now` is the time of the
        event loop, which is monotonic. `wall_clock` is a Unix time in seconds.
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
    """Return a new id for a frame that the server sends."""
    return f"TM{uuid4().hex}"
