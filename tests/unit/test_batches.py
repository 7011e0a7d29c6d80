"""A batch stays within the maximum number and the maximum total size of its entries.

An entry that is larger than the maximum size gets its own batch.
"""

from __future__ import annotations

import pytest

from convoke.domain.batches import batches


@pytest.mark.parametrize(
    ("sizes", "expected"),
    [
        ([], []),
        ([1], [[1]]),
        ([1, 1, 1], [[1, 1, 1]]),
        ([1, 1, 1, 1], [[1, 1, 1], [1]]),
        ([1] * 7, [[1, 1, 1], [1, 1, 1], [1]]),
        ([5, 5], [[5, 5]]),
        ([5, 6], [[5], [6]]),
        ([5, 5, 1], [[5, 5], [1]]),
        ([4, 4, 3, 3, 4, 1], [[4, 4], [3, 3, 4], [1]]),
        ([11], [[11]]),
        ([1, 11, 1], [[1], [11], [1]]),
        ([10, 10], [[10], [10]]),
    ],
)
def test_batch_stays_within_three_entries_and_ten_bytes(sizes: list[int], expected: list[list[int]]) -> None:
    """An entry of 11 bytes exceeds the maximum size by itself, and gets its own batch. AWS later refuses this batch."""
    assert [*batches(sizes, lambda size: size, max_entries=3, max_bytes=10)] == expected
