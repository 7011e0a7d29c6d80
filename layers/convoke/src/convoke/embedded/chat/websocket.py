"""uvicorn's WebSocket protocol, with a way to cut a connection whose client reads nothing.

This module overrides a method of uvicorn's protocol class, so pyproject.toml bounds the version of uvicorn.
"""

from __future__ import annotations

from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol
from websockets.http11 import Request

CUT = "convoke.cut"
"""The name of the extension in the ASGI scope that holds the function that cuts the connection."""


class ChatWebSocket(WebSocketsSansIOProtocol):
    def handle_connect(self, event: Request) -> None:
        super().handle_connect(event)
        if not self.close_sent:
            # The task that reads the scope starts later.
            self.scope["extensions"][CUT] = {"cut": self.transport.abort}
