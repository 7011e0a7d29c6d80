"""A receiver of webhooks, for those who want to see what comes."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Condition, Thread
from urllib.parse import parse_qsl

POLL_INTERVAL_SECONDS = 0.05
"""Seconds until it notices that it is to stop."""


@dataclass(frozen=True, slots=True)
class ReceivedWebhook:
    parameters: dict[str, str]
    headers: dict[str, str]
    """Their names as they were sent."""

    @property
    def event_type(self) -> str:
        return self.parameters["EventType"]


class Receiver:
    """Takes every webhook, and keeps them in the order in which they came."""

    def __init__(self) -> None:
        self.url = ""
        self._received: list[ReceivedWebhook] = []
        self._came = Condition()

    @property
    def received(self) -> list[ReceivedWebhook]:
        with self._came:
            return [*self._received]

    def wait_for(self, fits: Callable[[ReceivedWebhook], bool], timeout: float) -> ReceivedWebhook | None:
        """The first that fits, whether it is there or comes within so many seconds."""
        with self._came:
            return self._came.wait_for(lambda: next(filter(fits, self._received), None), timeout)

    def forget(self) -> None:
        with self._came:
            self._received.clear()

    @contextmanager
    def listening(self) -> Iterator[Receiver]:
        receiver = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"])).decode()
                receiver._take(ReceivedWebhook(dict(parse_qsl(body, keep_blank_values=True)), dict(self.headers)))
                self.send_response(204)
                self.end_headers()

            def log_message(self, *_: object) -> None:
                """Whoever listens says what came."""

        with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
            self.url = f"http://127.0.0.1:{server.server_port}/webhooks"
            Thread(target=server.serve_forever, args=(POLL_INTERVAL_SECONDS,), daemon=True).start()
            try:
                yield self
            finally:
                server.shutdown()

    def _take(self, webhook: ReceivedWebhook) -> None:
        with self._came:
            self._received.append(webhook)
            self._came.notify_all()
