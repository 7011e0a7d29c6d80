"""The pytest plugin of Convoke. The plugin provides the fixture `convoke`.

If Convoke is installed, pytest loads this module in every run, even if no test uses the fixture. For this reason, this
module imports only pytest at its top, and the fixture imports the other modules. Other modules must not import this
module or pytest.
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
    """Provide a Convoke instance without data. During the whole session, the URL and the credentials do not change.

    See `convoke.testing.instance.RunningInstance` for the methods of the instance.
    """
    yield _running_convoke
    _running_convoke.reset()
