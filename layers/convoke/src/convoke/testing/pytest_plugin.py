"""The fixture `convoke`. pytest loads this where Convoke is installed; nothing else imports it, or pytest.

pytest imports it at every start, whether a test wants the fixture or not: what it needs, the fixture imports.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from convoke.testing.instance import RunningInstance


@pytest.fixture(scope="session")
def _running_convoke() -> Iterator[RunningInstance]:
    from convoke.testing.instance import running

    with running() as instance:
        yield instance


@pytest.fixture
def convoke(_running_convoke: RunningInstance) -> Iterator[RunningInstance]:
    """A Convoke of the test's own: it starts empty, and its URL and credentials are those of the whole session."""
    yield _running_convoke
    _running_convoke.reset()
