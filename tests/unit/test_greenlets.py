"""Requests as greenlets on the event loop (embedded/greenlets.py)."""

from __future__ import annotations

import asyncio
import threading
import time
from functools import partial
from typing import Any

import pytest

from convoke.embedded.greenlets import MAX_BLOCKING_CALLS, RequestGreenlets

TIMEOUT_SECONDS = 10.0


def test_requests_run_one_after_the_other_on_the_event_loop_thread() -> None:
    greenlets, log = RequestGreenlets(), []

    def handle(number: int) -> int:
        log.append(("begun", number, threading.get_ident()))
        log.append(("ended", number, threading.get_ident()))
        return number

    async def scenario() -> list[int]:
        return await asyncio.gather(*(greenlets.run(partial(handle, number)) for number in range(3)))

    assert asyncio.run(scenario()) == [0, 1, 2]
    loop_thread = threading.get_ident()
    assert log == [(step, number, loop_thread) for number in range(3) for step in ("begun", "ended")]


def test_blocking_call_releases_event_loop_and_returns_its_result() -> None:
    greenlets, may_return, order = RequestGreenlets(), threading.Event(), []

    def call() -> str:
        assert may_return.wait(TIMEOUT_SECONDS)
        return "result"

    def first() -> str:
        result = greenlets.off_loop(call)
        order.append("first")
        return f"{result} on {threading.get_ident()}"

    def second() -> None:
        order.append("second")
        may_return.set()

    async def scenario() -> list[Any]:
        return [*await asyncio.gather(greenlets.run(first), greenlets.run(second))]

    assert asyncio.run(scenario()) == [f"result on {threading.get_ident()}", None]
    assert order == ["second", "first"]


def test_exception_of_blocking_call_is_raised_in_the_request() -> None:
    greenlets = RequestGreenlets()

    def divide() -> None:
        _ = 1 / 0

    def handle() -> str:
        with pytest.raises(ZeroDivisionError):
            greenlets.off_loop(divide)
        return "handled"

    assert asyncio.run(greenlets.run(handle)) == "handled"
    with pytest.raises(ZeroDivisionError):
        asyncio.run(greenlets.run(lambda: greenlets.off_loop(divide)))
    with pytest.raises(ZeroDivisionError):
        asyncio.run(greenlets.run(divide))


def test_more_requests_than_threads_can_sleep_until_wake() -> None:
    greenlets, number = RequestGreenlets(), 2 * MAX_BLOCKING_CALLS

    async def scenario() -> None:
        sleeping = [asyncio.create_task(greenlets.run(lambda: greenlets.sleep(3600))) for _ in range(number)]
        await greenlets.run(lambda: greenlets.sleep(0.01))
        assert not any(task.done() for task in sleeping)
        await asyncio.to_thread(greenlets.wake)
        await asyncio.wait_for(asyncio.gather(*sleeping), TIMEOUT_SECONDS)
        await asyncio.wait_for(greenlets.run(lambda: greenlets.sleep(3600)), TIMEOUT_SECONDS)

    asyncio.run(scenario())


def test_cancelled_request_runs_its_finally_blocks() -> None:
    greenlets, ended = RequestGreenlets(), []

    def handle() -> None:
        try:
            greenlets.sleep(3600)
        finally:
            ended.append(True)

    async def scenario() -> None:
        task = asyncio.create_task(greenlets.run(handle))
        await asyncio.sleep(0.01)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(scenario())
    assert ended == [True]


def test_outside_a_request_calls_and_sleep_block_the_current_thread() -> None:
    greenlets, begun = RequestGreenlets(), time.monotonic()
    assert greenlets.off_loop(threading.get_ident) == threading.get_ident()
    greenlets.sleep(0.02)
    assert 0.02 <= time.monotonic() - begun < TIMEOUT_SECONDS
    greenlets.wake()
    greenlets.sleep(3600)
