"""Decide once, when a request arrives, whether it is served: while steps are late, new work waits or is refused.

See docs/how-it-works.md#load. AWS does not refuse requests this way: it adds capacity.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable
from typing import Any

MAX_STEP_AGE_SECONDS = 0.25
"""How long a step may have been ready to run before new work has to wait."""

MAX_WAIT_SECONDS = 1.0
"""How long a request waits for admission."""

POLL_SECONDS = 0.02

SHED_METHODS = frozenset({"POST", "DELETE"})

SHED_PATHS = re.compile(
    r"/v1/(?:Services/[^/]+/)?(?:ConversationWithParticipants|Conversations(?:/[^/]+(?:/(?:Participants|Messages).*)?)?)"
)
"""Writes of conversations, participants and messages. Reads and `/convoke/v1` are always served."""


class Admission:
    """`age` returns how many seconds the oldest ready step has waited."""

    def __init__(self, age: Callable[[], float]) -> None:
        self._age = age
        self.request_arrived: Callable[[], None] = _nothing
        self.request_answered: Callable[[], None] = _nothing
        """The scheduler of the steps listens here, to share the thread with requests that are under way."""

    def applies_to(self, event: dict[str, Any]) -> bool:
        return event["requestContext"]["http"]["method"] in SHED_METHODS and bool(
            SHED_PATHS.fullmatch(event["rawPath"])
        )

    async def admitted(self) -> bool:
        """Return whether the request is served, after a wait if steps are late."""
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
    """Nobody listens without an event loop."""
