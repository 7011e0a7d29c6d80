"""The receiver's answer completes a delivery, leads to a further attempt, or is a refusal that ends the attempts."""

from __future__ import annotations

import pytest

from convoke.operations.webhook_delivery import Outcome


@pytest.mark.parametrize(
    ("status", "taken"), [(200, True), (204, True), (299, True), (300, False), (500, False), (None, False)]
)
def test_delivery_succeeds_with_any_status_below_300(status: int | None, taken: bool) -> None:
    assert Outcome(status).is_delivered is taken


@pytest.mark.parametrize("status", [429, 500, 503, 599, None])
def test_another_attempt_follows_an_overloaded_a_failing_and_an_unreachable_receiver(status: int | None) -> None:
    assert Outcome(status).is_retryable


@pytest.mark.parametrize("status", [301, 400, 404, 428, 430, 499, 600])
def test_no_other_attempt_follows_a_refusal(status: int) -> None:
    assert not Outcome(status).is_retryable
