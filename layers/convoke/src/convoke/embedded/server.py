"""Run uvicorn as the HTTP server for the gateway. Before uvicorn stops, it finishes the running requests."""

from __future__ import annotations

import errno
import signal
import socket
import threading
from collections.abc import Awaitable, Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Protocol

import uvicorn

from convoke.embedded.chat.limits import MAX_FRAME_BYTES
from convoke.embedded.engine import SHUTDOWN_GRACE_SECONDS
from convoke.embedded.gateway import Message, Receive, Send
from convoke.embedded.http_protocol import KEEP_ALIVE_SECONDS, BoundedProtocol

BACKLOG = 2048
"""How many connections can wait in the operating system until the server accepts them."""


class CannotListenError(Exception):
    """The server cannot listen on an address. The error text is one line for the person who chose the address."""

    def __init__(self, message: str, *, is_busy: bool) -> None:
        super().__init__(message)
        self.is_busy = is_busy
        """Whether another process already listens on the address."""


def listening_socket(host: str, port: int) -> socket.socket:
    """Return a listening socket. Clients can connect to the socket before the server has started.

    Raise CannotListenError if the operating system refuses the address, for example because the port is in use.
    """
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        with ExitStack() as undone:
            listener = undone.enter_context(socket.socket(family, kind, protocol))
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            listener.bind(address)
            listener.listen(BACKLOG)
            undone.pop_all()
    except OSError as error:
        is_busy = error.errno == errno.EADDRINUSE
        raise CannotListenError(f"cannot listen on {host}:{port}: {error.strerror}", is_busy=is_busy) from error
    return listener


class ServedApp(Protocol):
    """The ASGI application of a server. A stopping server calls `begin_stop`, then `stop_chat`, then `close`."""

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None: ...

    def begin_stop(self) -> None: ...

    async def stop_chat(self) -> None: ...

    def close(self) -> None: ...


class Server(uvicorn.Server):
    """Serves requests until SIGINT, SIGTERM or `stop_soon`. Then finishes the running requests and stops."""

    def __init__(
        self, gateway: ServedApp, on_ready: Callable[[], None], on_stopped: Callable[[], Awaitable[None]]
    ) -> None:
        super().__init__(
            uvicorn.Config(
                gateway,
                http=BoundedProtocol,
                ws="none",  # `BoundedProtocol` serves the WebSockets.
                ws_max_size=MAX_FRAME_BYTES,
                ws_per_message_deflate=False,  # Compression needs memory for each connection.
                lifespan="off",
                access_log=False,
                log_config=None,
                server_header=False,
                proxy_headers=False,  # The gateway handles forwarded headers.
                timeout_keep_alive=KEEP_ALIVE_SECONDS,
                timeout_graceful_shutdown=SHUTDOWN_GRACE_SECONDS,
            )
        )
        self._gateway = gateway
        self._on_ready = on_ready
        self._on_stopped = on_stopped

    def stop_soon(self) -> None:
        """Stop the server as SIGTERM does. Any thread may call this method."""
        self.should_exit = True

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets=sockets)
        self._on_ready()

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        self._gateway.begin_stop()
        try:
            await self._gateway.stop_chat()
            await super().shutdown(sockets=sockets)
        finally:
            self._gateway.close()
            await self._on_stopped()

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Handle SIGINT and SIGTERM while the server runs.

        After the shutdown, the base class would raise the signal again, and the process would not exit with status 0.
        Python allows signal handlers only on the main thread, so this method does nothing on other threads.
        """
        if threading.current_thread() is not threading.main_thread():
            yield
            return
        previous = {each: signal.signal(each, self.handle_exit) for each in (signal.SIGINT, signal.SIGTERM)}
        try:
            yield
        finally:
            for each, handler in previous.items():
                signal.signal(each, handler)
