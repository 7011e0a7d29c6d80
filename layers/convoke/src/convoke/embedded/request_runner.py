"""Run requests on the event loop's thread or on worker threads.

A request first runs on the event loop's thread. If the request must wait, the request ends before its first write (see
`suspension.py`). The runner then runs the request again: after a pause, or on a worker thread.

On the event loop's thread, a request reads and writes in a unit of work (see `unit.py`). The runner returns the result
of the request after this unit is committed. On a worker thread, each write waits for its own commit.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import NoReturn, TypeVar

from convoke.domain.errors import UnavailableError
from convoke.embedded.admission import Admission
from convoke.embedded.sqlite import LOCK_TIMEOUT_SECONDS, SqliteTable
from convoke.embedded.suspension import ConflictedError, NeedsThreadError, RunAgainError
from convoke.operations.conversations import MAX_CONTENTION_SECONDS, sleep_before_retry

Result = TypeVar("Result")

MAX_REQUESTS_ON_THREADS = 128
"""The maximum number of requests on worker threads at the same time.

A request uses a worker thread while it waits, for example for a receiver.
"""

FIRST_PAUSE_SECONDS, MAX_PAUSE_SECONDS = 0.001, 0.05
"""The first and the longest pause between two runs of a request. The pauses double until the longest pause."""


class NotAdmittedError(Exception):
    """The engine is overloaded. The client must repeat the request later."""


class RequestRunner:
    """Runs the requests of one engine: requests of the REST API, and calls of chat clients."""

    def __init__(self, table: SqliteTable, admission: Admission, lock_timeout: float = LOCK_TIMEOUT_SECONDS) -> None:
        self._table = table
        self._admission = admission
        self._lock_timeout = lock_timeout
        self._threads = ThreadPoolExecutor(MAX_REQUESTS_ON_THREADS, thread_name_prefix="request")

    async def admit_and_run(self, method: str, path: str, compute: Callable[[], Result]) -> Result:
        """Run `compute` if the engine has capacity. Raise NotAdmittedError if the engine is overloaded. See `run`."""
        if self._admission.applies_to(method, path) and not await self._admission.admitted():
            raise NotAdmittedError
        self._admission.request_arrived()
        try:
            return await self.run(compute)
        finally:
            self._admission.request_answered()

    async def run(self, compute: Callable[[], Result]) -> Result:
        """Call `compute`. Return the result after all data in the result is committed.

        If `compute` raises NeedsThreadError, call `compute` again on a worker thread. If `compute` raises
        RunAgainError, call `compute` again after a pause.

        Raise UnavailableError if the commit fails, or if `compute` still raises RunAgainError after the lock timeout.
        If the RunAgainError is a ConflictedError, the limit is MAX_CONTENTION_SECONDS instead of the lock timeout.
        """
        loop = asyncio.get_running_loop()
        begun, pause = loop.time(), FIRST_PAUSE_SECONDS
        while True:
            try:
                return await self._run_here(compute)
            except NeedsThreadError:
                return await self.on_thread(compute)
            except RunAgainError as signal:
                limit = MAX_CONTENTION_SECONDS if isinstance(signal, ConflictedError) else self._lock_timeout
                if loop.time() - begun >= limit:
                    raise UnavailableError from None
            await asyncio.sleep(pause)
            pause = min(2 * pause, MAX_PAUSE_SECONDS)

    async def on_thread(self, work: Callable[[], Result]) -> Result:
        """Call `work` on a worker thread, and return the result. `work` may block this thread."""
        return await asyncio.get_running_loop().run_in_executor(self._threads, work)

    async def is_committed(self) -> bool:
        """Wait until the open unit of work is committed or dropped. Return False only if the unit was dropped."""
        try:
            if (committed := self._table.committed()) is not None:
                await committed
        except UnavailableError:
            return False
        return True

    def close(self) -> None:
        """Start no more requests on worker threads. A request that is still running fails when the table is closed."""
        self._threads.shutdown(wait=False, cancel_futures=True)

    async def _run_here(self, compute: Callable[[], Result]) -> Result:
        sleep_before_retry.set(_run_again)
        result = compute()
        if not await self.is_committed():
            raise UnavailableError
        return result


def _run_again(_: float) -> NoReturn:
    """Raise ConflictedError instead of sleeping. The event loop's thread must not sleep."""
    raise ConflictedError
