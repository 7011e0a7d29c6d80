"""Count the copies of senders that have a limit, and spread the copies that exceed the limit over the next seconds.

Only copies of senders with a limit read or write the items of this module. The items expire after a day. See
docs/decisions/0160-limit-of-a-sender.md.
"""

from __future__ import annotations

from contextlib import suppress
from datetime import UTC, datetime, timedelta

from convoke.domain.senders import Sender
from convoke.lean_dataclass import lean_dataclass
from convoke.storage import items, keys
from convoke.storage.table import (
    EXPIRES_AT,
    Add,
    ConditionFailedError,
    Equals,
    Item,
    LessThan,
    NotExists,
    Or,
    Set,
    Table,
    Update,
)

LIFETIME = timedelta(days=1)

MAX_PAUSE = timedelta(minutes=15)
"""The maximum length of one pause of a copy. A copy that must wait longer gets several pauses."""

MICROSECONDS = 1_000_000

CLOCK_TOLERANCE_MICROSECONDS = 60 * MICROSECONDS
"""How much later than `now + MAX_PAUSE` the next free turn can be, because the clocks of two processes differ."""


@lean_dataclass
class SendingLimits:
    table: Table

    def pause_before(self, sender: Sender, now: datetime) -> float:
        """Return 0 if the sender may send a copy now. If the sender may not, return a pause in seconds.

        If the result is 0 and the sender has a limit, the copy counts towards the limit. After a pause, the caller must
        call this method again for the same copy. Pauses that are shorter than MAX_PAUSE are spread (see `_turn`). If
        the limit is 10 copies per second, usually at most 10 of these pauses end in the same second.
        """
        limit = sender.max_messages_per_second
        if limit is None or self._is_counted(sender, limit, now):
            return 0.0
        return (self._turn(sender, limit, now) - now).total_seconds()

    def _is_counted(self, sender: Sender, limit: int, now: datetime) -> bool:
        """Count one more copy in this second. Return False, and count nothing, if the count has reached the limit."""
        key = keys.sending_second(sender.account_sid, sender.sid, items.epoch_seconds(now))
        has_room = Or((NotExists("copies"), LessThan("copies", limit)))
        try:
            self.table.update(Update(key, (Add("copies", 1), _expiry(now)), has_room))
        except ConditionFailedError:
            return False
        return True

    def _turn(self, sender: Sender, limit: int, now: datetime) -> datetime:
        """Reserve the next free turn, and return its time. A turn is the time at which one waiting copy comes back.

        The turns of one second are evenly spread over the second. If all turns up to MAX_PAUSE from now are taken, the
        method reserves no turn, and returns the time `now + MAX_PAUSE`.

        The item contains the time of the next free turn in microseconds. A reservation adds to the stored time without
        reading the time first. Therefore processes that reserve turns at the same time do not conflict.
        """
        key = keys.sending_turns(sender.account_sid, sender.sid)
        distance = -(-MICROSECONDS // limit)
        first = (items.epoch_seconds(now) + 1) * MICROSECONDS
        last = items.epoch_seconds(now + MAX_PAUSE) * MICROSECONDS
        start = (Set("next", first + distance), _expiry(now))
        try:
            self.table.update(Update(key, start, Or((NotExists("next"), LessThan("next", first)))))
            return _moment(first)
        except ConditionFailedError as failed:
            following = _next_turn(failed.item)
        if following > last + CLOCK_TOLERANCE_MICROSECONDS:
            # The stored turn is so late that the clock must have been set back. Start the turns again. Otherwise no
            # copy would get a turn until the clock has reached the stored turn.
            with suppress(ConditionFailedError):
                self.table.update(Update(key, start, Equals("next", following)))
            return _moment(first)
        if following < last:
            with suppress(ConditionFailedError):
                has_room = LessThan("next", last)
                stored = self.table.update(Update(key, (Add("next", distance), _expiry(now)), has_room))
                # A process whose clock is behind may have started the turns again meanwhile. The reserved turn can then
                # be earlier than `first`.
                return _moment(max(_next_turn(stored) - distance, first))
        # Do not reserve a turn after `now + MAX_PAUSE`. The copy comes back after MAX_PAUSE, and would then reserve a
        # second turn.
        return now + MAX_PAUSE


def _next_turn(item: Item | None) -> int:
    """Return the time of the next free turn in microseconds. `item` contains the turns of a sender."""
    return int(str((item or {})["next"]))


def _expiry(now: datetime) -> Set:
    return Set(EXPIRES_AT, items.epoch_seconds(now + LIFETIME))


def _moment(microseconds: int) -> datetime:
    return datetime.fromtimestamp(microseconds / MICROSECONDS, UTC)
