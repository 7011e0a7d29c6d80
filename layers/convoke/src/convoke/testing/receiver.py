"""An HTTP server that receives webhooks and stores them, for tests and the demo."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Condition, Thread
from urllib.parse import parse_qsl

POLL_INTERVAL_SECONDS = 0.05
"""How often the server thread checks whether it must stop. A stop takes at most this long."""


@dataclass(frozen=True, slots=True)
class ReceivedWebhook:
    """A webhook request that the receiver received."""

    parameters: dict[str, str]
    """The form fields of the body."""
    headers: dict[str, str]
    """The request headers. Each name has the upper and lower case that the client sent."""

    @property
    def event_type(self) -> str:
        """The parameter `EventType`, such as `onMessageAdded`."""
        return self.parameters["EventType"]


class Receiver:
    """A server that answers every webhook with 204 and stores the webhooks in the order of their arrival."""

    def __init__(self) -> None:
        self.url = ""
        """The webhook URL to configure. The URL is empty until the receiver listens."""
        self._received: list[ReceivedWebhook] = []
        self._changed = Condition()

    @property
    def received(self) -> list[ReceivedWebhook]:
        """The webhooks received so far, as a new list."""
        with self._changed:
            return [*self._received]

    def wait_for(self, matches: Callable[[ReceivedWebhook], bool], timeout: float) -> ReceivedWebhook | None:
        """Return the first webhook that matches, and wait for it if necessary.

        `timeout` is in seconds. Returns None if no webhook matches in time.
        """
        with self._changed:
            return self._changed.wait_for(lambda: next(filter(matches, self._received), None), timeout)

    def clear(self) -> None:
        """Forget all webhooks received so far."""
        with self._changed:
            self._received.clear()

    @contextmanager
    def listening(self) -> Iterator[Receiver]:
        """Listen on a free port of the loopback interface until the end of the block."""
        receiver = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"])).decode()
                receiver._store(ReceivedWebhook(dict(parse_qsl(body, keep_blank_values=True)), dict(self.headers)))
                self.send_response(204)
                self.end_headers()

            def log_message(self, *_: object) -> None:
                """Do not log. The base class would write every request to stderr."""

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
