"""Admission control: while asynchronous steps are late, requests that create more work wait or are refused.

The check happens once for each request, before the API handles the request. `embedded/gateway.py` sends the refusal:
status 503, code 20503 and the header `Retry-After`. The engine on AWS has no such check, because AWS adds capacity
instead. See docs/how-it-works.md#load.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable
from typing import Any

MAX_STEP_AGE_SECONDS = 0.25
"""If a step has been ready to run for longer than this, the steps count as late and new work has to wait."""

MAX_WAIT_SECONDS = 1.0
"""How long a request waits for the steps before it is refused."""

POLL_SECONDS = 0.02

SHED_METHODS = frozenset({"POST", "DELETE"})

SHED_PATHS = re.compile(
    r"/v1/(?:Services/[^/]+/)?(?:ConversationWithParticipants|Conversations(?:/[^/]+(?:/(?:Participants|Messages).*)?)?)"
)
"""The paths of conversations, participants and messages. Reads and paths under `/convoke/v1` are always served."""


class Admission:
    """Determines whether a request is served."""

    def __init__(self, age: Callable[[], float]) -> None:
        """`age` returns for how many seconds the oldest step has been ready to run."""
        self._age = age
        self.request_arrived: Callable[[], None] = _nothing
        self.request_answered: Callable[[], None] = _nothing
        """The gateway calls these functions before and after the API handles a request.

        The step scheduler counts the calls, because steps share the event loop's thread with requests under way.
        """

    def applies_to(self, event: dict[str, Any]) -> bool:
        return event["requestContext"]["http"]["method"] in SHED_METHODS and bool(
            SHED_PATHS.fullmatch(event["rawPath"])
        )

    async def admitted(self) -> bool:
        """Return whether to serve the request.

        If the steps are late, this method first waits up to `MAX_WAIT_SECONDS` for them.
        """
        if self._age() <= MAX_STEP_AGE_SECONDS:
            return True
        loop = asyncio.get_running_loop()
        until = loop.time() + MAX_WAIT_SECONDS
        while loop.time() < until:
            await asyncio.sleep(POLL_SECONDS)
            if self._age() <= MAX_STEP_AGE_SECONDS:
                return True
        return False


def _nothing() -> None:
    """The default listener. Without an event loop there is no step scheduler that listens."""
