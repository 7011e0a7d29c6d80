"""Provide the pytest fixture `convoke`.

If Convoke is installed, pytest imports this module in every run, even if no test uses the fixture. Therefore the module
imports other modules of Convoke only when a test uses the fixture. Other modules of Convoke must not import this module
or pytest.
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
    """Provide an empty Convoke instance. The URL and the credentials stay the same during the session.

    See `convoke.testing.instance.RunningInstance` for the methods of the instance.
    """
    yield _running_convoke
    _running_convoke.reset()
