"""The pytest plugin of Convoke: the fixture `convoke`.

pytest loads this module in every run where Convoke is installed, even if no test uses the fixture. For this reason, the
module imports only pytest, and the fixture imports all other modules. No other module may import this module or pytest.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from convoke.testing.instance import RunningInstance


@pytest.fixture(scope="session")
def _running_convoke() -> Iterator[RunningInstance]:
    from convoke.testing.instance import running  # noqa: PLC0415 - pytest loads this module in every run

    with running() as instance:
        yield instance


@pytest.fixture
def convoke(_running_convoke: RunningInstance) -> Iterator[RunningInstance]:
    """Provide a Convoke instance without data. The instance has the same URL and credentials in the whole session.

    `convoke.testing.instance.RunningInstance` describes the methods of the instance.
    """
    yield _running_convoke
    _running_convoke.reset()
