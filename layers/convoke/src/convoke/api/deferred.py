"""Define the response to a client that waits until the new conversation is initialized (`Prefer: wait`)."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import field

from convoke.api.responses import Response
from convoke.domain.conversations import Conversation
from convoke.lean_dataclass import lean_dataclass


@lean_dataclass
class Deferred:
    """The data for the response to a client that waits.

    A failure during the wait must not cause an error response, because the conversation is stored before the wait.
    After an error response, the client could repeat the request and create a second conversation.
    """

    created: Conversation
    """The conversation as the request stored it."""
    seconds: int
    """The maximum wait, in seconds."""
    render: Callable[[Conversation], Response]
    """A function that creates the response. The argument is the conversation at the end of the wait."""
    headers: Mapping[str, str] = field(default_factory=dict)
    """Headers to add to the response."""
