"""A circuit breaker stops calls to a receiver that fails often (domain/circuit_breakers.py)."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from convoke.domain.circuit_breakers import (
    CLOSED,
    FAILURES_TO_OPEN,
    FIRST_PAUSE,
    MAX_PAUSE,
    CircuitBreaker,
    account_sid_of,
    receiver_key,
)

NOW = datetime(2026, 1, 1, tzinfo=UTC)
MOMENT = timedelta(microseconds=1)


def failing(count: int) -> tuple[CircuitBreaker, datetime]:
    """Return a circuit breaker after `count` failures in a row, and the time of the last failure.

    Once the breaker is open, each further failure happens as soon as the breaker's pause ends.
    """
    breaker, at = CLOSED, NOW
    for _ in range(count):
        at = breaker.open_until or at
        breaker = breaker.after(at, is_failure=True)
    return breaker, at


def test_breaker_opens_after_several_failures_in_a_row() -> None:
    breaker, at = failing(FAILURES_TO_OPEN - 1)
    assert breaker.allows(at, under_way=3)
    breaker = breaker.after(at, is_failure=True)
    assert not breaker.allows(at, under_way=0)
    assert not breaker.allows(at + FIRST_PAUSE - MOMENT, under_way=0)


def test_after_the_pause_one_delivery_is_tried() -> None:
    breaker, at = failing(FAILURES_TO_OPEN)
    assert breaker.allows(at + FIRST_PAUSE, under_way=0)
    assert not breaker.allows(at + FIRST_PAUSE, under_way=1)


@pytest.mark.parametrize(
    ("more", "seconds"), [(0, 1), (1, 2), (2, 4), (3, 8), (4, 16), (5, 32), (6, 60), (7, 60), (900, 60)]
)
def test_pause_doubles_up_to_a_maximum(more: int, seconds: int) -> None:
    breaker, at = failing(FAILURES_TO_OPEN + more)
    assert breaker.open_until == at + timedelta(seconds=seconds)
    assert breaker.failures == FAILURES_TO_OPEN + more


def test_failures_of_deliveries_under_way_at_the_opening_do_not_prolong_the_pause() -> None:
    breaker, at = failing(FAILURES_TO_OPEN)
    assert breaker.after(at, is_failure=True).after(at + FIRST_PAUSE - MOMENT, is_failure=True) == breaker


def test_breaker_does_not_stay_open_after_the_clock_was_set_back() -> None:
    breaker, at = failing(FAILURES_TO_OPEN + 9)
    assert not breaker.allows(at, under_way=0)
    assert breaker.allows(at - MOMENT, under_way=0)
    assert not breaker.allows(at - MOMENT, under_way=1)
    assert breaker.after(at - MOMENT, is_failure=True).open_until == at - MOMENT + MAX_PAUSE


def test_closed_breaker_allows_any_number() -> None:
    assert CLOSED.allows(NOW, under_way=100)


@pytest.mark.parametrize("failures", [1, FAILURES_TO_OPEN, FAILURES_TO_OPEN + 3])
def test_success_resets_the_failures_in_a_row_and_the_pause(failures: int) -> None:
    breaker, at = failing(failures)
    assert breaker.after(at, is_failure=False) == CLOSED


@pytest.mark.parametrize(
    ("url", "receiver"),
    [
        ("https://hooks.example.com/a?b=c#rc=5", "https://hooks.example.com:443"),
        ("HTTPS://Hooks.Example.com:443/other", "https://hooks.example.com:443"),
        ("https://user:secret@hooks.example.com:8443", "https://hooks.example.com:8443"),
        ("http://hooks.example.com", "http://hooks.example.com:80"),
    ],
)
def test_receiver_is_the_scheme_host_and_port_of_a_url_within_an_account(url: str, receiver: str) -> None:
    assert receiver_key("AC1", url) == f"AC1 {receiver}"
    assert account_sid_of(receiver_key("AC1", url)) == "AC1"
