"""An HTTP server that receives and stores webhooks. Tests and the demo use this server."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Condition, Thread
from urllib.parse import parse_qsl

POLL_INTERVAL_SECONDS = 0.05
"""The interval at which the server thread checks whether the server must stop."""


@dataclass(frozen=True, slots=True)
class ReceivedWebhook:
    """A webhook request that has arrived at the receiver."""

    parameters: dict[str, str]
    """The form fields of the body."""
    headers: dict[str, str]
    """The request headers. The upper and lower case of the header names is unchanged."""

    @property
    def event_type(self) -> str:
        """The parameter `EventType`, such as `onMessageAdded`."""
        return self.parameters["EventType"]


class Receiver:
    """A server that stores all webhooks in the order of their arrival. It answers each webhook with the status 204."""

    def __init__(self) -> None:
        self.url = ""
        """The URL of the receiver. Configure it as the webhook URL. It is empty until the receiver listens."""
        self._received: list[ReceivedWebhook] = []
        self._changed = Condition()

    @property
    def received(self) -> list[ReceivedWebhook]:
        """A new list of all webhooks that have arrived until now."""
        with self._changed:
            return [*self._received]

    def wait_for(self, matches: Callable[[ReceivedWebhook], bool], timeout: float) -> ReceivedWebhook | None:
        """Return the first webhook for which `matches` returns True.

        If there is no such webhook yet, wait up to `timeout` seconds. If no such webhook arrives in this time, return
        None.
        """
        with self._changed:
            return self._changed.wait_for(lambda: next(filter(matches, self._received), None), timeout)

    def clear(self) -> None:
        """Remove all stored webhooks."""
        with self._changed:
            self._received.clear()

    @contextmanager
    def listening(self) -> Iterator[Receiver]:
        """Listen on a free port of the loopback interface until the end of the `with` block."""
        receiver = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"])).decode()
                receiver._store(ReceivedWebhook(dict(parse_qsl(body, keep_blank_values=True)), dict(self.headers)))
                self.send_response(204)
                self.end_headers()

            def log_message(self, *_: object) -> None:
                """Log nothing. The method of the base class would write every request to stderr."""

        with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
            self.url = f"http://127.0.0.1:{server.server_port}/webhooks"
            Thread(target=server.serve_forever, args=(POLL_INTERVAL_SECONDS,), daemon=True).start()
            try:
                yield self
            finally:
                server.shutdown()

    def _store(self, webhook: ReceivedWebhook) -> None:
        with self._changed:
            self._received.append(webhook)
            self._changed.notify_all()
