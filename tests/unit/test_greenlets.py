"""RequestGreenlets: one request at a time computes, and who waits for something outside holds nobody up."""

from __future__ import annotations

import asyncio
import threading
import time
from functools import partial
from typing import Any

import pytest

from convoke.embedded.greenlets import MAX_BLOCKING_CALLS, RequestGreenlets

PATIENCE = 10.0


def test_requests_compute_on_the_thread_of_the_event_loop_one_after_the_other() -> None:
    turns, told = RequestGreenlets(), []

    def compute(number: int) -> int:
        told.append(("begun", number, threading.get_ident()))
        told.append(("ended", number, threading.get_ident()))
        return number

    async def scenario() -> list[int]:
        return await asyncio.gather(*(turns.of_request(partial(compute, number)) for number in range(3)))

    assert asyncio.run(scenario()) == [0, 1, 2]
    here = threading.get_ident()
    assert told == [(what, number, here) for number in range(3) for what in ("begun", "ended")]


def test_who_is_outside_leaves_the_turn_to_others_and_goes_on_with_what_it_was_told() -> None:
    turns, may_answer, order = RequestGreenlets(), threading.Event(), []

    def call() -> str:
        assert may_answer.wait(PATIENCE)
        return "answer"

    def first() -> str:
        answered = turns.outside(call)
        order.append("first")
        return f"{answered} of {threading.get_ident()}"

    def second() -> None:
        order.append("second")
        may_answer.set()

    async def scenario() -> list[Any]:
        return [*await asyncio.gather(turns.of_request(first), turns.of_request(second))]

    assert asyncio.run(scenario()) == [f"answer of {threading.get_ident()}", None]
    assert order == ["second", "first"]


def test_what_goes_wrong_outside_goes_wrong_in_the_request() -> None:
    turns = RequestGreenlets()

    def divide() -> None:
        _ = 1 / 0

    def handle() -> str:
        with pytest.raises(ZeroDivisionError):
            turns.outside(divide)
        return "handled"

    assert asyncio.run(turns.of_request(handle)) == "handled"
    with pytest.raises(ZeroDivisionError):
        asyncio.run(turns.of_request(lambda: turns.outside(divide)))
    with pytest.raises(ZeroDivisionError):
        asyncio.run(turns.of_request(divide))


def test_any_number_may_sleep_until_they_are_woken() -> None:
    turns, number = RequestGreenlets(), 2 * MAX_BLOCKING_CALLS

    async def scenario() -> None:
        sleeping = [asyncio.create_task(turns.of_request(lambda: turns.sleep(3600))) for _ in range(number)]
        await turns.of_request(lambda: turns.sleep(0.01))
        assert not any(task.done() for task in sleeping)
        await asyncio.to_thread(turns.wake)
        await asyncio.wait_for(asyncio.gather(*sleeping), PATIENCE)
        await asyncio.wait_for(turns.of_request(lambda: turns.sleep(3600)), PATIENCE)

    asyncio.run(scenario())


def test_a_request_that_is_cancelled_while_it_waits_ends() -> None:
    turns, ended = RequestGreenlets(), []

    def compute() -> None:
        try:
            turns.sleep(3600)
        finally:
            ended.append(True)

    async def scenario() -> None:
        task = asyncio.create_task(turns.of_request(compute))
        await asyncio.sleep(0.01)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(scenario())
    assert ended == [True]


def test_without_a_request_outside_is_here_and_sleep_is_only_sleep() -> None:
    turns, begun = RequestGreenlets(), time.monotonic()
    assert turns.outside(threading.get_ident) == threading.get_ident()
    turns.sleep(0.02)
    assert 0.02 <= time.monotonic() - begun < PATIENCE
    turns.wake()
    turns.sleep(3600)
