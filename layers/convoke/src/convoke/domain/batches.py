"""Batches: as many things as one call to a service outside may hold."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import TypeVar

Thing = TypeVar("Thing")


def batches(things: Iterable[Thing], size: Callable[[Thing], int], *, most: int, largest: int) -> Iterator[list[Thing]]:
    """`things` in their order, no more than `most` at a time, nor than `largest` by their sizes together."""
    batch: list[Thing] = []
    total = 0
    for thing in things:
        bytes_ = size(thing)
        if batch and (len(batch) == most or total + bytes_ > largest):
            yield batch
            batch, total = [], 0
        batch.append(thing)
        total += bytes_
    if batch:
        yield batch
