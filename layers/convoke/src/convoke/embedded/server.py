"""The HTTP server of the embedded engine: uvicorn with the gateway as its application."""

from __future__ import annotations

import signal
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager

import uvicorn

from convoke.embedded.gateway import Gateway

SHUTDOWN_GRACE_SECONDS = 10
"""How long requests in progress may take to finish after a signal to stop."""

BACKLOG = 2048
"""Connections that may wait to be accepted: uvicorn's own default."""


class CannotListenError(Exception):
    """The server cannot listen on the address. The message is one line for the user."""


def listening_socket(host: str, port: int) -> socket.socket:
    """Return a listening socket. Raises CannotListenError.

    Clients may connect before the server runs. Their connections wait in the backlog.
    """
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        with ExitStack() as on_error:
            listener = on_error.enter_context(socket.socket(family, kind, protocol))
            # Otherwise the port of a process that has just ended is busy for about a minute (TIME_WAIT).
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            listener.bind(address)
            listener.listen(BACKLOG)
            on_error.pop_all()
    except OSError as error:
        raise CannotListenError(f"cannot listen on {host}:{port}: {error.strerror}") from error
    return listener


class Server(uvicorn.Server):
    """Serves until SIGINT or SIGTERM, then finishes the requests in progress and returns."""

    def __init__(self, gateway: Gateway, on_ready: Callable[[], None]) -> None:
        """Create the server. `on_ready` is called on the event loop when the server accepts connections."""
        super().__init__(
            uvicorn.Config(
                gateway,
                lifespan="off",
                access_log=False,
                log_config=None,
                server_header=False,
                # The gateway decides whether to trust the headers of a proxy.
                proxy_headers=False,
                timeout_graceful_shutdown=SHUTDOWN_GRACE_SECONDS,
            )
        )
        self._gateway = gateway
        self._on_ready = on_ready

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets=sockets)
        self._on_ready()

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        # A request with `Prefer: wait` must not delay the shutdown.
        self._gateway.wake_sleeping_requests()
        await super().shutdown(sockets=sockets)

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Handle SIGINT and SIGTERM during the block, without raising them again afterwards.

        The base class raises the signal again, and the process would not exit with 0. Only the main thread can handle
        signals, so on another thread this method does nothing.
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
