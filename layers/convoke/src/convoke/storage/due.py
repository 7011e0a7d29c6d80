"""Find the resources that the sweeper must process. See docs/how-it-works.md#promise-5-one-index-of-due-work."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from datetime import datetime, timedelta

from convoke.domain.instants import to_milliseconds
from convoke.lean_dataclass import lean_dataclass
from convoke.storage import keys
from convoke.storage.table import ConditionFailedError, Exists, Key, Set, Table, Update, key_of

FIRST_INSTANT, LAST_INSTANT = "0", ":"
"""FIRST_INSTANT sorts before every stored instant. LAST_INSTANT sorts after every stored instant.

FIRST_INSTANT is not the empty string, because DynamoDB refuses an empty string as a key.
"""

INSTANT_PRECISION = timedelta(milliseconds=1)
"""Instants are stored in whole milliseconds."""

DUE_PAGE_SIZE = 100
"""The maximum number of entries that one query returns."""


@lean_dataclass
class DueRepository:
    """Queries the index `due`. `keys.kind_of` returns the kind of resource to which an entry belongs."""

    table: Table

    def entries(self, shard: str, until: datetime) -> Iterator[Key]:
        """Yield the key of each item in `shard` that is due at `until` or earlier, the longest overdue item first.

        Each page is queried only when the iteration reaches the page. The index is eventually consistent, so the caller
        must read the item before processing the item.
        """
        between, after = (FIRST_INSTANT, to_milliseconds(until)), None
        while page := self.table.query(shard, index=keys.DUE, between=between, after=after, limit=DUE_PAGE_SIZE):
            yield from map(key_of, page)
            after = page[-1]

    def failures(self, key: Key, now: datetime) -> int | None:
        """Return how many times in succession the sweeper has failed to process a resource.

        Return None if the resource is not due now, for example because a claim has set a later due time. The method
        does not convert the item to a resource, because the conversion may be the reason for the failures.
        """
        stored = self.table.get(key) or {}
        due_at = stored.get(keys.DUE.sort)
        if due_at is None or str(due_at) > to_milliseconds(now):
            return None
        # If a change other than `put_off` has set the due time, the earlier failures no longer count.
        return int(str(stored["sweep_failures"])) if stored.get("sweep_failed_until") == due_at else 0

    def put_off(self, key: Key, failures: int, due_at: datetime) -> None:
        """Store the next due time, and how many times in succession the sweeper has failed to process the resource.

        Does nothing if the item has no due time. The revision of the item does not change. If a later change stores a
        different due time, `failures` starts again with 0.
        """
        moment = to_milliseconds(due_at)
        actions = (Set(keys.DUE.sort, moment), Set("sweep_failures", failures), Set("sweep_failed_until", moment))
        with suppress(ConditionFailedError):
            self.table.update(Update(key, actions, Exists(keys.DUE.partition)))

    def resume(self, key: Key, due_at: datetime) -> None:
        """Make a claimed resource due at `due_at`, and reset its attempts. Does nothing if the item has no due time.

        Call this method if the sweeper has made progress but could not finish. Without the reset, the pauses would grow
        as after failures.
        """
        actions = (Set(keys.DUE.sort, to_milliseconds(due_at)), Set("attempts", 0))
        with suppress(ConditionFailedError):
            self.table.update(Update(key, actions, Exists(keys.DUE.partition)))

    def next_due(self, after: datetime) -> datetime | None:
        """Return the earliest due time that is later than `after`, or None if there is no later due time."""
        between = (to_milliseconds(after + INSTANT_PRECISION), LAST_INSTANT)
        pages = [self.table.query(shard, index=keys.DUE, between=between, limit=1) for shard in keys.DUE_SHARDS]
        instants = [datetime.fromisoformat(str(item[keys.DUE.sort])) for page in pages for item in page]
        return min(instants, default=None)
