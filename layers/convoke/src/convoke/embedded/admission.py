"""Delay or refuse some requests while asynchronous steps are late (admission control).

A step is work that a request leaves behind, such as adding participants (embedded/steps.py).

The request runner (embedded/request_runner.py) checks REST requests and calls of chat clients before the API handles
them. A refused request or call gets status 503 and code 20503. The response to a REST request also has the header
`Retry-After`. The engine on AWS has no admission control, because AWS adds capacity under load. See
docs/how-it-works.md#load.

Status 503 can also have other reasons. For example, too many connections are open (embedded/http_protocol.py), or
another process holds the write lock for too long (embedded/request_runner.py).
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable

MAX_STEP_AGE_SECONDS = 0.25
"""The steps are late if the oldest step or stream record has waited longer than this time.

A stream record contains events that are not yet published.
"""

MAX_ADMISSION_WAIT_SECONDS = 1.0
"""How long a request waits while the steps are late. After this time, the request is refused."""

POLL_SECONDS = 0.02

SHED_METHODS = frozenset({"POST", "DELETE"})

SHED_PATHS = re.compile(
    r"(?:/v1/(?:Services/[^/]+/)?|/Client/v2/Services/[^/]+/)"
    r"(?:ConversationWithParticipants|Conversations(?:/[^/]+(?:/(?:Participants|Messages).*)?)?)"
)
"""The paths under admission control: conversations, participants and messages. Only chat clients use the second prefix.

Requests to other paths, such as `/convoke/v1/Events`, and requests whose method is not in SHED_METHODS are never
delayed or refused.
"""


class Admission:
    """Decides whether the engine serves or refuses a request."""

    def __init__(self, age: Callable[[], float]) -> None:
        """`age` returns how many seconds the oldest step or stream record has been waiting."""
        self._age = age
        self.request_arrived: Callable[[], None] = _nothing
        self.request_answered: Callable[[], None] = _nothing
        """The request runner calls `request_arrived` before a request runs, and `request_answered` afterwards.

        The step scheduler counts the running requests this way, because steps and requests share the event loop's
        thread.
        """

    def applies_to(self, method: str, path: str) -> bool:
        return method in SHED_METHODS and bool(SHED_PATHS.fullmatch(path))

    async def admitted(self) -> bool:
        """Wait while steps are late, at most MAX_ADMISSION_WAIT_SECONDS. Return whether to serve the request.

        Return False if steps are late during the whole wait.
        """
        if self._age() <= MAX_STEP_AGE_SECONDS:
            return True
        loop = asyncio.get_running_loop()
        until = loop.time() + MAX_ADMISSION_WAIT_SECONDS
        while loop.time() < until:
            await asyncio.sleep(POLL_SECONDS)
            if self._age() <= MAX_STEP_AGE_SECONDS:
                return True
        return False


def _nothing() -> None:
    """Do nothing.

    `request_arrived` and `request_answered` have this value until `EmbeddedEngine.start` replaces the value.
    """
