"""The pytest plugin of Convoke: the fixture `convoke`.

pytest loads this module in every run where Convoke is installed, even if no test uses the fixture. So the module
imports pytest only, and the fixture imports the rest. Nothing else may import this module or pytest.
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
    """Provide a Convoke instance that starts without data. Its URL and credentials are the same in the whole session.

    See `convoke.testing.instance.RunningInstance` for what the fixture can do.
    """
    yield _running_convoke
    _running_convoke.reset()
