"""Split entries into batches. A single call to an AWS service accepts only a limited number of entries and bytes."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import TypeVar

Entry = TypeVar("Entry")


def batches(
    entries: Iterable[Entry], size: Callable[[Entry], int], *, max_entries: int, max_bytes: int
) -> Iterator[list[Entry]]:
    """Yield batches of at most `max_entries` entries and `max_bytes` bytes. The order of the entries does not change.

    `size` returns the number of bytes of an entry. If an entry is larger than `max_bytes`, the batch contains only this
    entry.
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
