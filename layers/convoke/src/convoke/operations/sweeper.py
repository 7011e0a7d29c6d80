"""Process the resources whose due time has passed. See docs/how-it-works.md#promise-5-one-index-of-due-work."""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from threading import Lock

from convoke.domain.alerts import overdue_alert
from convoke.domain.instants import Clock
from convoke.domain.provisioning import ProvisioningRetries
from convoke.lean_dataclass import lean_dataclass
from convoke.storage import keys
from convoke.storage.alerts import AlertRepository
from convoke.storage.due import DueRepository
from convoke.storage.table import Key

logger = logging.getLogger(__name__)

GoOn = Callable[[], bool]
"""A function that returns False if the time for a sweep is over. The sweeper then processes no further resources."""

Process = Callable[[Key, GoOn], None]
"""A function that processes the resource with the given key.

After a TimeIsOverError, the resource is due again immediately. After any other exception, the resource is due again
later.
"""


class TimeIsOverError(Exception):
    """A `Process` has stopped because the time for the sweep is over. The resource is due again immediately."""


@lean_dataclass
class Sweeper:
    due: DueRepository
    processes: Mapping[str, Process]
    """Maps each kind of resource (see `keys.kind_of`) to the function that processes resources of this kind."""
    alerts: AlertRepository
    retries: ProvisioningRetries
    now: Clock

    def sweep(
        self,
        until: datetime | None = None,
        *,
        shards: Sequence[str] = keys.DUE_SHARDS,
        threads: int = 1,
        go_on: GoOn = lambda: True,
    ) -> int:
        """Process every resource that is due at `until` or earlier, and return the number of processed resources.

        If `until` is None, the method uses the current time. The sweep ends early if `go_on` returns False. The sweep
        ignores resources of an unknown kind, which a newer version may have stored. One sweep processes each resource
        at most once, even if the processing fails. A failed resource counts as processed.

        A resource that cannot be processed is due again after a pause, which grows with each failure. Without the
        pause, every sweep would process the same resource and fail.
        """
        until = until or self.now()
        turns = Turns((self.due.entries(shard, until) for shard in shards), self.processes)

        def work(_: int = 0) -> None:
            while go_on() and (key := turns.take()):
                self._process(key, go_on)

        if threads == 1:
            work()
        else:
            with ThreadPoolExecutor(threads) as pool:
                [*pool.map(work, range(threads))]
        return turns.taken

    def _process(self, key: Key, go_on: GoOn) -> None:
        try:
            self._run(key, go_on)
        except Exception:
            # The partition key of a due item consists of SIDs, and therefore contains no personal data.
            context = {"kind": keys.kind_of(key), "partition_key": key.pk}
            logger.exception("a due resource could not be processed", extra=context)
            try:
                self._put_off(key)
            except Exception:
                logger.exception("a due resource could not be put off", extra=context)

    def _run(self, key: Key, go_on: GoOn) -> None:
        try:
            self.processes[keys.kind_of(key)](key, go_on)
        except TimeIsOverError:
            self.due.resume(key, self.now())

    def _put_off(self, key: Key) -> None:
        """Postpone a resource, unless a claim has already postponed the resource.

        After a certain number of failures, also create an alert. See `ProvisioningRetries.is_overdue`.
        """
        now = self.now()
        earlier = self.due.failures(key, now)
        if earlier is None:
            return
        self.due.put_off(key, earlier + 1, self.retries.next_attempt_at(now, earlier + 1))
        if self.retries.is_overdue(earlier + 1):
            account_sid, _, resource_sid = key.pk.partition("#")
            self.alerts.create(overdue_alert(account_sid, resource_sid, now))


class Turns:
    """The due resources of several shards. The shards take turns.

    Therefore a backlog in one shard does not delay the other shards.

    Several threads may use this object at the same time.
    """

    def __init__(self, shards: Iterable[Iterator[Key]], kinds: Collection[str]) -> None:
        self._shards = deque(shards)
        self._kinds = kinds
        self._seen: set[Key] = set()
        self._lock = Lock()

    @property
    def taken(self) -> int:
        """The number of resources that `take` has returned."""
        return len(self._seen)

    def take(self) -> Key | None:
        """Return the key of the next resource. Return None if no resource is left."""
        with self._lock:
            while self._shards:
                shard = self._shards.popleft()
                try:
                    key = next(shard, None)
                except Exception:
                    logger.exception("a shard of the index `due` cannot be read; the next sweep reads it again")
                    continue
                if key is None:
                    continue
                self._shards.append(shard)
                if keys.kind_of(key) in self._kinds and key not in self._seen:
                    self._seen.add(key)
                    return key
            return None
