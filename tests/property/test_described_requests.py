"""Every response to a valid or invalid request conforms to `/openapi.json`.

`make schemathesis` sends many more requests (tests/property/described_requests.py).
"""

from __future__ import annotations

import pytest

from tests.property.described_requests import Run

# The tests use about 30 seconds of processor time.
pytestmark = pytest.mark.timeout(300)

EXAMPLES, SEED = 3, 1


def test_responses_conform_to_the_description() -> None:
    run = Run(EXAMPLES, SEED).send()
    assert run.problems == []
    assert min(run.statuses[status] for status in (200, 201, 204, 400, 404)) > 5, "the requests reach the operations"


def test_request_without_credentials_is_refused_as_described() -> None:
    run = Run(1, SEED, with_credentials=False).send("/v1/Conversations")
    assert run.problems == []
    assert set(run.statuses) == {401}
