"""The filters `StartDate` and `EndDate` of a list.

Three lists have these filters: conversations (domain/conversation_filters.py), events (domain/events.py) and alerts
(domain/alerts.py). See docs/behaviour/conversations.md#list.
"""

from __future__ import annotations

import re
from datetime import datetime, timedelta
from typing import Annotated, ClassVar

from pydantic import BeforeValidator, ValidationInfo, WithJsonSchema, field_validator

from convoke.domain.dates import parse_date
from convoke.domain.errors import ConversationsError, EndDateBeforeStartDateError, InvalidParameterError
from convoke.domain.instants import Instant
from convoke.domain.model import Model

DAY = r"\d{4}-\d{2}-\d{2}"

SHOWN_PRECISION = timedelta(seconds=1)
"""Responses show dates in whole seconds. Therefore an end date of 10:00:05 includes the time until 10:00:05.999."""

STORED_PRECISION = timedelta(milliseconds=1)


def parse_start(text: str) -> datetime:
    """Parse a start date. If `text` is a day without a time, return the first moment of the day."""
    return _parse(f"{text}T00:00:00Z" if re.fullmatch(DAY, text) else text)


def parse_end(text: str) -> datetime:
    """Parse an end date. If `text` is a day without a time, return the last moment of the day.

    If `text` is a moment in whole seconds, return the last moment of the second. If the moment has a fraction of a
    second, return the moment unchanged.
    """
    end = _parse(f"{text}T23:59:59Z" if re.fullmatch(DAY, text) else text)
    # The brackets make Python compute the difference first. Without the brackets, Python would first add a whole
    # second, which causes an overflow in the last second of the year 9999.
    return end if end.microsecond else end + (SHOWN_PRECISION - STORED_PRECISION)


def _parse(text: str) -> datetime:
    try:
        return parse_date(text)
    except ValueError as error:
        wanted = "a day such as 2026-01-02, or a date and time such as 2026-01-02T03:04:05Z"
        raise InvalidParameterError(wanted=wanted) from error


def _date_schema(description: str) -> WithJsonSchema:
    forms = [{"type": "string", "format": form} for form in ("date", "date-time")]
    return WithJsonSchema({"anyOf": forms, "description": f"{description} The list then starts with the newest."})


StartDate = Annotated[
    Instant, BeforeValidator(parse_start), _date_schema("The date of creation is at or after this one.")
]
EndDate = Annotated[
    Instant,
    BeforeValidator(parse_end),
    _date_schema("The date of creation is at or before this one. A day ends with its last moment."),
]


class Period(Model):
    """A period that includes its start date and its end date.

    If `start_date` is None, the period has no start. If `end_date` is None, the period has no end.
    """

    order_of_checks: ClassVar[tuple[type[ConversationsError], ...]] = (EndDateBeforeStartDateError,)

    start_date: StartDate | None = None
    end_date: EndDate | None = None

    @field_validator("end_date")
    @classmethod
    def check_order(cls, end: datetime | None, info: ValidationInfo) -> datetime | None:
        start = info.data.get("start_date")
        if start and end and end < start:
            raise EndDateBeforeStartDateError
        return end
