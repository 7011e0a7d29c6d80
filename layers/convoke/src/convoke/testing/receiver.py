"""Receive and store webhooks with an HTTP server. Tests and the demo use this server."""

from __future__ import annotations

import json
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from difflib import get_close_matches
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from itertools import repeat
from threading import Condition, Thread
from urllib.parse import parse_qsl, urlsplit

from convoke.domain.events import PRE_EVENTS, ErrorLogType, EventType
from convoke.webhooks.signature import sign

POLL_INTERVAL_SECONDS = 0.05
"""How often the server thread checks whether it must stop."""

FINAL_STATUSES = range(200, 600)
"""The status codes of final answers: all except the interim codes 1xx (RFC 9110, section 15)."""

SIGNATURE = "X-Twilio-Signature"


@dataclass(frozen=True, slots=True)
class ReceivedWebhook:
    """A webhook request that the receiver has received."""

    parameters: dict[str, str]
    """The form fields in the body of a POST request, or the query parameters of a GET request."""
    headers: dict[str, str]
    """The request headers. The receiver keeps the upper and lower case of the header names."""
    url: str = ""
    method: str = "POST"
    body: str = ""
    signature_valid: bool = False
    """Whether the signature is correct for the URL, the parameters and the instance's Auth Token."""

    @property
    def event_type(self) -> str:
        """The parameter `EventType`, such as `onMessageAdded`."""
        return self.parameters["EventType"]


@dataclass(frozen=True, slots=True)
class Answer:
    """What the receiver answers to a webhook."""

    status: int
    body: str = ""


ACCEPTED = Answer(204)


class Receiver:
    """A server that stores webhooks in the order of arrival.

    The server answers each webhook with status 204, unless a test plans another answer with `answer`.
    """

    def __init__(self, auth_token: Callable[[], str] = lambda: "") -> None:
        """`auth_token` returns the Auth Token that the instance signs webhooks with."""
        self.url = ""
        """The URL to configure as the webhook. Empty until the receiver listens."""
        self.auth_token = auth_token
        self.on_pre_event: Callable[[str], None] = lambda event_type: None  # noqa: ARG005
        """The receiver calls this function when a test plans the answer to a pre-event. The argument is the event type.

        The function must configure the receiver as the account's webhook for pre-events of this type.
        """
        self._base_url = ""
        self._generation = 0
        self._received: list[ReceivedWebhook] = []
        self._answers: dict[str | None, deque[Answer]] = {}
        """Maps an event type to its planned answers.

        An event type without planned answers gets the answers under the key None.
        """
        self._changed = Condition()

    @property
    def received(self) -> list[ReceivedWebhook]:
        """A new list of the webhooks that the receiver has stored since the last `clear`."""
        with self._changed:
            return [*self._received]

    def answer(
        self, status: int, body: str | Mapping[str, object] = "", *, times: int = 1, event_type: str | None = None
    ) -> None:
        """Plan the answers to the next `times` webhooks: a status and a body. Later calls plan further answers.

        - `body`: a text, or a mapping that is sent as a JSON object. In the answer to a pre-event, this object changes
          the resource.
        - `event_type`: if not None, only events of this type get the answers. If this is the type of a pre-event, such
          as `onMessageAdd`, the receiver also becomes the account's webhook for pre-events of this type.

        Raise ValueError if `status` is not between 200 and 599, or if the event type does not exist.
        """
        if status not in FINAL_STATUSES:
            raise ValueError(f"the status {status} is not between 200 and 599")
        if event_type is not None:
            check_event_type(event_type)
        answer = Answer(status, body if isinstance(body, str) else json.dumps(body))
        with self._changed:
            self._answers.setdefault(event_type, deque()).extend(repeat(answer, times))
        if event_type in PRE_EVENTS:
            self.on_pre_event(event_type)

    def wait_for(self, matches: Callable[[ReceivedWebhook], bool], timeout: float) -> ReceivedWebhook | None:
        """Return the first webhook for which `matches` returns True.

        If there is none yet, wait until one arrives. Return None if none arrives within `timeout` seconds.
        """
        with self._changed:
            return self._changed.wait_for(lambda: next(filter(matches, self._received), None), timeout)

    def clear(self) -> None:
        """Remove all stored webhooks and planned answers, and change the URL.

        After that, the receiver answers webhooks to the old URL with status 204, but does not store them.
        """
        with self._changed:
            self._received.clear()
            self._answers.clear()
            self._generation += 1
            self.url = f"{self._base_url}/webhooks/{self._generation}"

    @contextmanager
    def listening(self) -> Iterator[Receiver]:
        """Listen on a free port of the loopback interface, until the end of the `with` block."""
        receiver = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers.get("Content-Length", 0))).decode()
                answer = receiver._store(self.path, self.command, body, dict(self.headers))
                content = answer.body.encode()
                self.send_response(answer.status)
                if content:
                    self.send_header("Content-Type", "application/json")
                if answer.status != ACCEPTED.status:
                    self.send_header("Content-Length", str(len(content)))
                self.end_headers()
                self.wfile.write(content)

            do_GET = do_POST  # noqa: N815 - the name in the base class

            def log_message(self, *_: object) -> None:
                """Log nothing. The base class would write every request to stderr."""

        with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
            self._base_url = f"http://127.0.0.1:{server.server_port}"
            self.clear()
            Thread(target=server.serve_forever, args=(POLL_INTERVAL_SECONDS,), daemon=True).start()
            try:
                yield self
            finally:
                server.shutdown()

    def _store(self, path: str, method: str, body: str, headers: dict[str, str]) -> Answer:
        """Store a webhook, and return the answer. If the webhook was sent to an old URL, do not store it."""
        url = f"{self._base_url}{path}"
        sent = body if method == "POST" else urlsplit(path).query
        parameters = dict(parse_qsl(sent, keep_blank_values=True))
        expected = sign(url, parameters if method == "POST" else {}, self.auth_token())
        webhook = ReceivedWebhook(parameters, headers, url, method, body, headers.get(SIGNATURE) == expected)
        with self._changed:
            if url.partition("?")[0] != self.url:
                return ACCEPTED
            self._received.append(webhook)
            self._changed.notify_all()
            return self._next_answer(parameters.get("EventType"))

    def _next_answer(self, event_type: str | None) -> Answer:
        for key in (event_type, None):
            if answers := self._answers.get(key):
                return answers.popleft()
        return ACCEPTED


def check_event_type(event_type: str) -> None:
    """Raise ValueError if the event type does not exist."""
    known = [*EventType, *ErrorLogType]
    if event_type not in known:
        close = get_close_matches(event_type, known, n=1)
        hint = f"did you mean {close[0]}?" if close else f"the event types are {', '.join(known)}"
        raise ValueError(f"there is no event type {event_type!r}: {hint}")
