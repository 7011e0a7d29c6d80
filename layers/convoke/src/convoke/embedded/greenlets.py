"""Runs each request as a greenlet on the thread of the event loop.

Python runs one thread at a time in any case. Threads that compete take the interpreter from each other in the middle of
transactions, and each switch costs more than a query. So a request runs until it has its answer, or until it must wait
for something outside the process. Then its greenlet switches back to the event loop, and other requests run. A greenlet
can switch from any depth of ordinary calls, so the operations need no `async`, and the same code runs in Lambda.

See docs/decisions/0010-requests-share-the-event-loop.md and https://greenlet.readthedocs.io/.
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
"""Worker threads for blocking calls of requests. A request that sleeps uses a timer of the event loop, not a thread."""

Result = TypeVar("Result")


class _RequestGreenlet(greenlet):
    """The call stack of a request. The class tells code whether it runs inside a request."""


class RequestGreenlets:
    """Runs requests on one event loop, and lets them wait without blocking the loop."""

    def __init__(self) -> None:
        self._executor = ThreadPoolExecutor(MAX_BLOCKING_CALLS, thread_name_prefix="off-loop")
        self._stop_sleeping = threading.Event()
        self._sleeping: set[asyncio.Future[None]] = set()

    async def run(self, handle: Callable[[], Result]) -> Result:
        """Run `handle` in a greenlet and return its result. Other requests run while `handle` waits.

        Must always be awaited on the same event loop.
        """
        request = _RequestGreenlet(handle)
        # `switch` returns when the greenlet ends, with the result, or when it waits, with the awaitable to wait for.
        returned: Any = request.switch()
        while not request.dead:
            try:
                value = await returned
            except BaseException as error:
                # Also asyncio.CancelledError: the request must run its `finally` blocks.
                returned = request.throw(error)
            else:
                returned = request.switch(value)
        result: Result = returned
        return result

    def off_loop(self, call: Callable[[], Result]) -> Result:
        """Run `call` on a worker thread and return its result. Other requests run meanwhile.

        Outside of a request, run `call` on the current thread.
        """
        if not isinstance(getcurrent(), _RequestGreenlet):
            return call()
        return _await_on_loop(asyncio.get_running_loop().run_in_executor(self._executor, call))

    def sleep(self, seconds: float) -> None:
        """Sleep until the time is over or `wake` is called. Other requests run meanwhile."""
        if isinstance(getcurrent(), _RequestGreenlet):
            _await_on_loop(self._sleep_on_loop(seconds))
        else:
            self._stop_sleeping.wait(seconds)

    def wake(self) -> None:
        """End every `sleep` now, and make every later `sleep` return at once. Any thread may call this method."""
        self._stop_sleeping.set()
        for sleeper in [*self._sleeping]:
            # asyncio futures are not thread-safe, so the event loop must complete them.
            sleeper.get_loop().call_soon_threadsafe(_complete, sleeper)

    async def _sleep_on_loop(self, seconds: float) -> None:
        sleeper = asyncio.get_running_loop().create_future()
        # Register first, then check: `wake` may run on another thread between the two statements.
        self._sleeping.add(sleeper)
        try:
            if not self._stop_sleeping.is_set():
                with suppress(TimeoutError):
                    await asyncio.wait_for(sleeper, seconds)
        finally:
            self._sleeping.discard(sleeper)


def _await_on_loop(awaitable: Awaitable[Result]) -> Result:
    """Switch to the event loop, let it await, and return the result to the request."""
    event_loop = getcurrent().parent
    assert event_loop is not None
    result: Result = event_loop.switch(awaitable)
    return result


def _complete(sleeper: asyncio.Future[None]) -> None:
    # The timeout may have ended the sleep already.
    if not sleeper.done():
        sleeper.set_result(None)
