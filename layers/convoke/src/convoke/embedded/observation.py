"""Report finished requests, deliveries and calls of chat clients to observers.

An observer shows the reports to people, for example on a terminal or in the console. Observers run on the event loop's
thread, so they must be fast and must not wait.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any, Protocol, TypeVar

from convoke.api.responses import Response
from convoke.lean_dataclass import lean_dataclass
from convoke.operations.webhook_delivery import BegunDelivery, Outcome

logger = logging.getLogger(__name__)

Finished = TypeVar("Finished")

CONNECT = "connect"
"""The `action` of a FinishedChatCall for an attempt to connect."""


@lean_dataclass
class FinishedRequest:
    """A request whose response the gateway is about to send. The request's data is already committed."""

    event: dict[str, Any]
    """The gateway event. It contains the client's credentials, but not the content of an uploaded file."""
    response: Response
    seconds: float
    """The time from the start of the request's handling to the response."""

    @property
    def method(self) -> str:
        return str(self.event["requestContext"]["http"]["method"])

    @property
    def path(self) -> str:
        """The path of the request. A path can contain unique names and identities."""
        return str(self.event["rawPath"])


@lean_dataclass
class FinishedDelivery:
    """An attempt to deliver an event to a receiver. The outcome is already committed."""

    begun: BegunDelivery
    outcome: Outcome

    @property
    def is_given_up(self) -> bool:
        """Whether the delivery has failed permanently.

        The receiver did not accept the event, and no attempt follows.
        """
        return not self.outcome.is_delivered and not self.begun.is_retried_after(self.outcome)


@lean_dataclass
class FinishedChatCall:
    """A call of a chat client, or an attempt of a chat client to connect, with the answer.

    The data of the call is already committed.
    """

    action: str
    """CONNECT, or the HTTP method of the call. `OTHER` if the client gave a method that the server does not know."""
    status: int
    code: int | None
    """The error code of the answer. None if the answer is not an error, or is an error without a code."""
    sid: str | None
    """The SID of the resource in the answer. After `connect`, the SID of the User. None if the answer has no SID."""
    seconds: float
    find_rule: Callable[[], str | None] = lambda: None
    """Returns the path pattern of the call's route, or None if the call has no route."""


class Observer(Protocol):
    def request_finished(self, request: FinishedRequest) -> None: ...

    def delivery_finished(self, delivery: FinishedDelivery) -> None: ...

    def chat_call_finished(self, call: FinishedChatCall) -> None:
        """Called after each attempt to connect, each failed call, and each successful call that is not a read.

        An attempt to connect is a valid frame `init`. A read is a GET call or a subscription. The method is not called
        for a call with an expired access token, for a frame that is not a valid call, or for a frame `update`, which
        renews the access token.
        """


class Observers:
    """A list of observers. A failing observer affects neither the request nor the other observers."""

    def __init__(self) -> None:
        self._observers: list[Observer] = []

    def __bool__(self) -> bool:
        """Return whether the list contains an observer. If not, the gateway need not create a `FinishedRequest`."""
        return bool(self._observers)

    def add(self, observer: Observer) -> None:
        self._observers.append(observer)

    def request_finished(self, request: FinishedRequest) -> None:
        for observer in self._observers:
            _report(observer.request_finished, request)

    def delivery_finished(self, delivery: FinishedDelivery) -> None:
        for observer in self._observers:
            _report(observer.delivery_finished, delivery)

    def chat_call_finished(self, call: FinishedChatCall) -> None:
        for observer in self._observers:
            _report(observer.chat_call_finished, call)


def _report(report: Callable[[Finished], None], finished: Finished) -> None:
    try:
        report(finished)
    except Exception:
        logger.exception("an observer failed")
