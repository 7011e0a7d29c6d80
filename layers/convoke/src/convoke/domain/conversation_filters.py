"""The filters of the list of conversations.

See docs/behaviour/conversations.md#list.
"""

from __future__ import annotations

from typing import Annotated, ClassVar

from pydantic import BeforeValidator

from convoke.domain.conversations import State, parse_state
from convoke.domain.date_filters import Period
from convoke.domain.errors import (
    ConversationsError,
    EndDateBeforeStartDateError,
    StateEmptyError,
    StateUnknownError,
)
from convoke.domain.json_schema import IN_EITHER_CASE, word_schema


def parse_state_filter(text: str) -> State:
    """Return the state that a filter requests. Unlike a request that sets a state, a filter can name `initializing`."""
    return State.INITIALIZING if text.lower() == State.INITIALIZING else parse_state(text)


class ConversationFilters(Period):
    """The filters of the list of conversations: a period and a state."""

    order_of_checks: ClassVar[tuple[type[ConversationsError], ...]] = (
        EndDateBeforeStartDateError,
        StateEmptyError,
        StateUnknownError,
    )

    state: Annotated[State, BeforeValidator(parse_state_filter), word_schema(State, IN_EITHER_CASE)] | None = None

    @property
    def newest_first(self) -> bool:
        """Whether the list starts with the newest conversation. Only a list with a date filter has this order."""
        return bool(self.start_date or self.end_date)
