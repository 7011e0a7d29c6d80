"""Extend uvicorn's WebSocket protocol: the server can cut the connection of a client that reads nothing.

This module overrides methods of uvicorn's protocol class, so pyproject.toml limits the version of uvicorn.
"""

from __future__ import annotations

from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol
from websockets.http11 import Request

from convoke.embedded.chat.connection import CUT


class ChatWebSocket(WebSocketsSansIOProtocol):
    def handle_connect(self, event: Request) -> None:
        super().handle_connect(event)
        if not self.close_sent:
            # uvicorn has already created the task that passes the scope to the application. But the task has not yet
            # started, so the application gets the changed scope.
            self.scope["extensions"][CUT] = {"cut": self.transport.abort}

    def handle_ping(self) -> None:
        """Answer a ping if the client reads. Otherwise discard the answer.

        Unsent answers would fill the memory.
        """
        if self.writable.is_set():
            super().handle_ping()
        else:
            self.conn.data_to_send()

    def keepalive_timeout(self) -> None:
        """End the connection of a client that did not answer a ping, even if the client reads nothing."""
        super().keepalive_timeout()
        self.transport.abort()
