"""A time that a list is bounded to, and how clients write it."""

from __future__ import annotations

import re
from datetime import datetime, timedelta
from typing import Annotated, ClassVar

from pydantic import BeforeValidator, ValidationInfo, field_validator

from convoke.domain.dates import parse_date
from convoke.domain.errors import ConversationsError, EndDateBeforeStartDateError, InvalidParameterError
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


class Period(Model):
    """Both ends are included; one that was not given is open."""

    order_of_checks: ClassVar[tuple[type[ConversationsError], ...]] = (EndDateBeforeStartDateError,)

    start_date: Annotated[Instant, BeforeValidator(parse_start)] | None = None
    end_date: Annotated[Instant, BeforeValidator(parse_end)] | None = None

    @field_validator("end_date")
    @classmethod
    def check_order(cls, end: datetime | None, info: ValidationInfo) -> datetime | None:
        start = info.data.get("start_date")
        if start and end and end < start:
            raise EndDateBeforeStartDateError
        return end
