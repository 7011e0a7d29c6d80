"""Random requests never get a 5xx and never hang (tests/faults/fuzz.py). `make soak` sends many more requests."""

from __future__ import annotations

from random import Random

from tests.faults.fuzz import Fuzz, run

REQUESTS, CONNECTIONS = 6_000, 200

SEED = 15


def test_random_requests_and_random_bytes_get_no_5xx_and_do_not_hang() -> None:
    statuses, violations = run(REQUESTS, CONNECTIONS, SEED)
    assert violations == []
    assert statuses[201] > 50, "the requests reach the operations"
    assert {200, 204, 400, 401, 404, 405, 409, 431} <= statuses.keys()


def test_the_seed_determines_the_requests() -> None:
    first, again, other = (Fuzz(Random(seed)).stream("Basic x") for seed in (1, 1, 2))
    assert first == again != other
