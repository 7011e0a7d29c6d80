"""A response that is not complete, because the client waits until the conversation is initialized (`Prefer: wait`)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from convoke.api.responses import Response
from convoke.domain.conversations import Conversation


@dataclass(frozen=True, slots=True)
class Deferred:
    """The data for the response to a client that waits.

    The new conversation is already stored. Therefore the request must not run again, and a failure during the wait must
    not cause an error response.
    """

    created: Conversation
    """The conversation as the request has stored it."""
    seconds: int
    """The maximum time to wait."""
    render: Callable[[Conversation], Response]
    """Returns the response for the conversation after the wait."""
