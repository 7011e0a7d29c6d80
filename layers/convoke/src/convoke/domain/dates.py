"""Dates that clients send, to back-date what they import (reference, f.4)."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime

from convoke.domain.errors import ConversationsError
from convoke.domain.instants import truncate_to_milliseconds


def parse_date(text: str) -> datetime:
    """An ISO 8601 date and time, in UTC and whole milliseconds; UTC is assumed where it names no offset.

    Raises ValueError for anything else, bare dates included.
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
    """A validator of text that raises `error`."""

    def validate(value: object) -> datetime:
        try:
            return parse_date(str(value))
        except ValueError as cause:
            raise error from cause

    return validate
