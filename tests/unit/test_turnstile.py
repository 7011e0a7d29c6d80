"""Turns: one at a time, and nobody starves."""

from __future__ import annotations

import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from convoke.local.turnstile import LONGEST_TURN, Turnstile


def test_only_one_thread_has_the_turn() -> None:
    turnstile, inside, most = Turnstile(longest_turn=60), 0, 0

    def work(number: int) -> None:
        nonlocal inside, most
        with turnstile.request() if number % 2 else turnstile.step():
            inside += 1
            most = max(most, inside)
            time.sleep(0.0005)
            inside -= 1

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(work, range(200)))
    assert most == 1


def test_requests_and_steps_alternate_in_the_order_of_their_arrival() -> None:
    turnstile, order = Turnstile(), []
    threads = []

    def enter(kind: str, number: int) -> None:
        with turnstile.request() if kind == "request" else turnstile.step():
            order.append(f"{kind} {number}")

    with turnstile.request():
        for kind, number in [("request", 1), ("request", 2), ("request", 3), ("step", 1), ("step", 2)]:
            thread = threading.Thread(target=enter, args=(kind, number))
            thread.start()
            threads.append(thread)
            time.sleep(0.005)
    for thread in threads:
        thread.join()
    assert order == ["step 1", "request 1", "step 2", "request 2", "request 3"]


def test_a_turn_ends_with_an_exception() -> None:
    turnstile = Turnstile()
    with pytest.raises(ZeroDivisionError), turnstile.step():
        _ = 1 / 0
    with turnstile.request():
        pass


def test_whoever_waits_inside_a_turn_holds_nobody_up() -> None:
    turnstile, go = Turnstile(), threading.Event()

    def hang() -> None:
        with turnstile.step():
            go.wait(10)

    hung = [threading.Thread(target=hang) for _ in range(3)]
    for thread in hung:
        thread.start()
    begun = time.monotonic()
    for _ in range(20):
        with turnstile.request():
            pass
    assert time.monotonic() - begun < 10 * LONGEST_TURN
    go.set()
    for thread in hung:
        thread.join()
    with turnstile.step():
        pass


def test_whoever_sleeps_in_a_turn_gives_it_to_others_at_once_and_gets_one_again() -> None:
    turnstile, sleeping, inside = Turnstile(longest_turn=60), threading.Event(), []

    def sleep_awhile() -> None:
        with turnstile.request():
            sleeping.set()
            turnstile.sleep(60)
            inside.append("awake")

    sleeper = threading.Thread(target=sleep_awhile)
    sleeper.start()
    sleeping.wait()
    with turnstile.request(), ThreadPoolExecutor(1) as pool:
        pool.submit(turnstile.wake).result()
        time.sleep(0.05)
        assert inside == []
    sleeper.join(10)
    assert inside == ["awake"]


def test_without_a_turn_sleep_is_only_sleep() -> None:
    turnstile, begun = Turnstile(), time.monotonic()
    turnstile.sleep(0.02)
    assert 0.02 <= time.monotonic() - begun < 10
    turnstile.wake()
    turnstile.sleep(3600)
