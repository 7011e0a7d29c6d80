"""Which conversations a list is to show, and in what order (reference, a.1)."""

from __future__ import annotations

from typing import Annotated, ClassVar

from pydantic import BeforeValidator

from convoke.domain.conversations import State, parse_state
from convoke.domain.errors import (
    ConversationsError,
    EndDateBeforeStartDateError,
    StateEmptyError,
    StateUnknownError,
)
from convoke.domain.periods import Period


def parse_state_filter(text: str) -> State:
    """Any state that a conversation can be in."""
    return State.INITIALIZING if text.lower() == State.INITIALIZING else parse_state(text)


class ConversationFilters(Period):
    order_of_checks: ClassVar[tuple[type[ConversationsError], ...]] = (
        EndDateBeforeStartDateError,
        StateEmptyError,
        StateUnknownError,
    )

    state: Annotated[State, BeforeValidator(parse_state_filter)] | None = None

    @property
    def newest_first(self) -> bool:
        """Where dates are asked for; else the oldest is the first (reference, a.0)."""
        return bool(self.start_date or self.end_date)
