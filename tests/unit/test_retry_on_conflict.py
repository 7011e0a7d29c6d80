"""`retry_on_conflict` runs an operation again if optimistic locking fails (operations/conversations.py)."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from convoke.operations.conversations import retry_on_conflict
from convoke.storage.revisions import ChangedMeanwhileError


@pytest.fixture
def frequent_thread_switches() -> Iterator[None]:
    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    yield
    sys.setswitchinterval(interval)


@pytest.mark.usefixtures("frequent_thread_switches")
def test_concurrent_retries_in_many_threads_do_not_interfere() -> None:
    """Convoke must not use the decorator of the library tenacity.

    All threads would share the decorator's dict, and a thread could fail with a KeyError.
    """

    @retry_on_conflict
    def succeed_at(attempt: list[int]) -> int:
        attempt[0] -= 1
        if attempt[0]:
            raise ChangedMeanwhileError
        return 1

    with ThreadPoolExecutor(16) as pool:
        done = pool.map(lambda number: succeed_at([1 + number % 2]), range(2000))
        assert sum(done) == 2000
