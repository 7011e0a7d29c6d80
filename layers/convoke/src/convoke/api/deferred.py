"""An answer that may change while the client waits (`Prefer: wait`) for what happens after the commit."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from convoke.api.responses import Response
from convoke.domain.conversations import Conversation


@dataclass(frozen=True, slots=True)
class Deferred:
    """Everything is stored already, so nothing here may run twice or turn the answer into an error."""

    created: Conversation
    seconds: int
    """How long to wait at most."""
    render: Callable[[Conversation], Response]
