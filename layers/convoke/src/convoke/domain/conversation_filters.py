"""Which conversations a list is to show, and in what order (reference, a.1)."""

from __future__ import annotations

import re
from datetime import datetime, timedelta
from typing import Annotated, ClassVar

from pydantic import BeforeValidator, ValidationInfo, field_validator

from convoke.domain.conversations import State, parse_state
from convoke.domain.dates import parse_date
from convoke.domain.errors import (
    ConversationsError,
    EndDateBeforeStartDateError,
    InvalidParameterError,
    StateEmptyError,
    StateUnknownError,
)
from convoke.domain.instants import Instant
from convoke.domain.model import Model

DAY = r"\d{4}-\d{2}-\d{2}"

SHOWN_PRECISION = timedelta(seconds=1)
"""Clients see whole seconds, so an end means all of its second."""

LEAST = timedelta(milliseconds=1)


def parse_start(text: str) -> datetime:
    """A day begins with its first moment."""
    return _parse(f"{text}T00:00:00Z" if re.fullmatch(DAY, text) else text)


def parse_end(text: str) -> datetime:
    """A day, and a second, end with their last moment."""
    end = _parse(f"{text}T23:59:59Z" if re.fullmatch(DAY, text) else text)
    return end if end.microsecond else end + SHOWN_PRECISION - LEAST


def _parse(text: str) -> datetime:
    try:
        return parse_date(text)
    except ValueError as error:
        wanted = "a day such as 2026-01-02, or a date and time such as 2026-01-02T03:04:05Z"
        raise InvalidParameterError(wanted=wanted) from error


def parse_wanted_state(text: str) -> State:
    """Any state that a conversation can be in."""
    return State.INITIALIZING if text.lower() == State.INITIALIZING else parse_state(text)


class ConversationFilters(Model):
    order_of_checks: ClassVar[tuple[type[ConversationsError], ...]] = (
        EndDateBeforeStartDateError,
        StateEmptyError,
        StateUnknownError,
    )

    start_date: Annotated[Instant, BeforeValidator(parse_start)] | None = None
    end_date: Annotated[Instant, BeforeValidator(parse_end)] | None = None
    state: Annotated[State, BeforeValidator(parse_wanted_state)] | None = None

    @field_validator("end_date")
    @classmethod
    def check_order(cls, end: datetime | None, info: ValidationInfo) -> datetime | None:
        start = info.data.get("start_date")
        if start and end and end < start:
            raise EndDateBeforeStartDateError
        return end

    @property
    def newest_first(self) -> bool:
        """Where dates are asked for; else the oldest is the first (reference, a.0)."""
        return bool(self.start_date or self.end_date)
