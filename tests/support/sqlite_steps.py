"""Measure how much work SQLite does."""

from __future__ import annotations

from collections.abc import Callable

from convoke.embedded.queue import DurableQueue


def steps(queue: DurableQueue, call: Callable[[], object]) -> int:
    """Run `call`. Return how many steps SQLite's virtual machine runs meanwhile, on the connection of `queue`.

    Unlike a duration, this number does not depend on the speed of the computer.
    """
    count = 0

    def step() -> None:
        nonlocal count
        count += 1

    queue.table._connection.set_progress_handler(step, 1)
    call()
    queue.table._connection.set_progress_handler(None, 1)
    return count
