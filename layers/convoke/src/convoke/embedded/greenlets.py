"""RequestGreenlets: requests and the steps behind them compute one after the other, on the thread of the event loop.

Python computes on one thread at a time in any case. Threads that compete take the interpreter from each other in the
midst of a transaction, and each hand-over costs more than a query. So a request computes until it is answered, or
until it waits for something outside: then it leaves the thread to others, as a greenlet can from the midst of calls.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from typing import Any, TypeVar

from greenlet import getcurrent, greenlet

MAX_BLOCKING_CALLS = 128
"""Threads for what requests wait for outside of their turn; whoever only sleeps takes none."""

Answer = TypeVar("Answer")


class _Request(greenlet):
    """The call stack of a request."""


class RequestGreenlets:
    def __init__(self) -> None:
        self._calls = ThreadPoolExecutor(MAX_BLOCKING_CALLS, thread_name_prefix="outside")
        self._woken = threading.Event()
        self._sleeping: set[asyncio.Future[None]] = set()

    async def of_request(self, compute: Callable[[], Answer]) -> Answer:
        """What `compute` answers. While it is `outside`, others have their turn. To be awaited on one event loop."""
        request = _Request(compute)
        result: Any = request.switch()
        while not request.dead:
            try:
                waited_for = await result
            except BaseException as error:
                result = request.throw(error)
            else:
                result = request.switch(waited_for)
        answer: Answer = result
        return answer

    def outside(self, call: Callable[[], Answer]) -> Answer:
        """What `call` answers, which others need not wait for: a request of them keeps no thread of theirs."""
        if not isinstance(getcurrent(), _Request):
            return call()
        return _awaited(asyncio.get_running_loop().run_in_executor(self._calls, call))

    def sleep(self, seconds: float) -> None:
        if isinstance(getcurrent(), _Request):
            _awaited(self._asleep(seconds))
        else:
            self._woken.wait(seconds)

    def wake(self) -> None:
        """End all sleep, present and future."""
        self._woken.set()
        for sleeper in [*self._sleeping]:
            sleeper.get_loop().call_soon_threadsafe(_end, sleeper)

    async def _asleep(self, seconds: float) -> None:
        sleeper = asyncio.get_running_loop().create_future()
        self._sleeping.add(sleeper)
        try:
            if not self._woken.is_set():
                with suppress(TimeoutError):
                    await asyncio.wait_for(sleeper, seconds)
        finally:
            self._sleeping.discard(sleeper)


def _awaited(awaitable: Awaitable[Answer]) -> Answer:
    """To the event loop with it, and back with its result."""
    event_loop = getcurrent().parent
    assert event_loop is not None
    answer: Answer = event_loop.switch(awaitable)
    return answer


def _end(sleeper: asyncio.Future[None]) -> None:
    if not sleeper.done():
        sleeper.set_result(None)
