"""Event ids: numbers that order the changes of an object for chat clients. See docs/decisions/0154-event-ids.md.

An event id is usually the time of a change in microseconds. A chat client ignores an event whose id is not greater than
the id of the previous event. Therefore the event id of an item grows with each change, even if the clock was set back.

This module only converts times to event ids and back. `Change.following` in domain/events.py determines the event id of
a change.

The event id of an item without the attribute `event_id` is `to_event_id(date_updated)`. If a conversation without this
attribute has a greater `state_event_id`, its event id is `state_event_id`.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from convoke.domain.sids import milliseconds_of

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def to_event_id(moment: datetime) -> int:
    """Return the number of microseconds from 1970 to `moment`."""
    return (moment - EPOCH) // timedelta(microseconds=1)


def to_moment(event_id: int) -> datetime:
    """Return the time of an event id."""
    return EPOCH + timedelta(microseconds=event_id)


def event_id_of_sid(sid: str) -> int:
    """Return the event id for the time at which a SID was created.

    The SID must begin with a time. See `milliseconds_of`.
    """
    return milliseconds_of(sid) * 1000
