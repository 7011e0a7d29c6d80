"""The dates that clients send in requests.

See docs/behaviour/requests-and-answers.md#dates.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Annotated

from pydantic import BeforeValidator

from convoke.domain.errors import ConversationsError, InvalidDateCreatedError, InvalidDateUpdatedError
from convoke.domain.instants import Instant, truncate_to_milliseconds


def parse_date(text: str) -> datetime:
    """Parse an ISO 8601 date and time. Return the moment in UTC, truncated to milliseconds.

    A time without an offset is in UTC. Raise ValueError for any other text, for example a date without a time.
    """
    if "T" not in text.upper() and " " not in text:
        raise ValueError("a date needs a time")
    moment = datetime.fromisoformat(text.upper())
    try:
        moment = moment.astimezone(UTC) if moment.tzinfo else moment.replace(tzinfo=UTC)
    except OverflowError as error:
        raise ValueError("a date out of range") from error
    return truncate_to_milliseconds(moment)


def date_validator(error: type[ConversationsError]) -> Callable[[object], datetime]:
    """Return a validator that parses a date. The validator raises `error` if the date is invalid."""

    def validate(value: object) -> datetime:
        try:
            return parse_date(str(value))
        except ValueError as cause:
            raise error from cause

    return validate


DateCreated = Annotated[Instant, BeforeValidator(date_validator(InvalidDateCreatedError))]
DateUpdated = Annotated[Instant, BeforeValidator(date_validator(InvalidDateUpdatedError))]
"""DateCreated and DateUpdated are the types of two fields that clients send when they import an existing resource."""
