"""A batch never exceeds the maximum number and the maximum total size of its entries.

A single large entry is an exception.
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
def test_a_batch_has_at_most_three_things_and_ten_bytes(sizes: list[int], expected: list[list[int]]) -> None:
    """An entry of more than ten bytes gets its own batch. The AWS service later refuses such a batch."""
    assert [*batches(sizes, lambda size: size, max_entries=3, max_bytes=10)] == expected
