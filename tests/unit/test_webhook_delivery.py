"""Which answers of a receiver count as taken."""

from __future__ import annotations

import pytest

from convoke.operations.webhook_delivery import Outcome


@pytest.mark.parametrize(
    ("status", "taken"), [(200, True), (204, True), (299, True), (300, False), (500, False), (None, False)]
)
def test_a_delivery_is_taken_with_any_status_below_300(status: int | None, taken: bool) -> None:
    assert Outcome(status).is_taken is taken
