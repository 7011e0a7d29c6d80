"""Event ids: numbers that order the changes of an object for chat clients. See docs/decisions/0154-event-ids.md.

An event id is the time of a change in microseconds. Each change of an item gets a greater event id than all earlier
changes of the item, even if the clock was set back. The reason is that a chat client ignores an event whose id is not
greater than the id of the previous event.

The repositories call `Change.following` in domain/events.py to get the event id of a change. This module only converts
times to event ids and back.

An item without the attribute `event_id` has the event id `to_event_id(date_updated)`. For a conversation, a later
`state_event_id` has priority.
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
