"""Batches of entries for one call to an AWS service."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import TypeVar

Entry = TypeVar("Entry")


def batches(
    entries: Iterable[Entry], size: Callable[[Entry], int], *, max_entries: int, max_bytes: int
) -> Iterator[list[Entry]]:
    """Yield the entries in their order, in batches of at most `max_entries` and `max_bytes`.

    An entry that is larger than `max_bytes` is a batch of its own.
    """
    batch: list[Entry] = []
    total = 0
    for entry in entries:
        bytes_ = size(entry)
        if batch and (len(batch) == max_entries or total + bytes_ > max_bytes):
            yield batch
            batch, total = [], 0
        batch.append(entry)
        total += bytes_
    if batch:
        yield batch
