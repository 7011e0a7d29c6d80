"""Fixtures for the behaviour tests.

Choose the engine of a test by what decides its behaviour:

- Validation, representations, texts and routing are decided above the Table port and cannot differ by engine. Such a
  test uses `instance` as it is: one run on the embedded engine.
- Transactions, conditions, index queries, paging, queues, the stream, timeouts and the Lambda handlers can differ by
  engine. Such a test also carries `@pytest.mark.each_engine`: one run on the embedded engine and one on the AWS engine,
  with moto in the place of AWS. A run on moto takes many times as long.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from pathlib import Path

import pytest

from tests.support.aws import moto_instance
from tests.support.cli_targets import CliTarget, StackTarget, data_file_target, stack_target
from tests.support.instances import EmbeddedInstance, Instance, held_instance
from tests.support.manual_clock import ManualClock

EMBEDDED = "embedded"

ENGINES: dict[str, Callable[..., AbstractContextManager[Instance]]] = {
    EMBEDDED: held_instance,
    "aws-on-moto": moto_instance,
}


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "each_engine: run the test on the embedded engine and on the AWS engine (moto)")


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Run a test that is marked `each_engine` once on each engine."""
    if metafunc.definition.get_closest_marker("each_engine"):
        metafunc.parametrize("engine", ENGINES)


@pytest.fixture
def engine() -> str:
    """Return the name of the engine: the embedded one, unless the test is marked `each_engine`."""
    return EMBEDDED


@pytest.fixture
def instance(engine: str) -> Iterator[Instance]:
    """Run Convoke on the embedded engine.

    Mark the test `each_engine` if the engine can change its outcome; the test then runs on both engines.
    """
    with ENGINES[engine]() as made:
        yield made


@pytest.fixture
def clock() -> ManualClock:
    """Return a clock that stands still until the test moves it."""
    return ManualClock()


@pytest.fixture
def clocked(engine: str, clock: ManualClock) -> Iterator[Instance]:
    """Run Convoke like `instance`, with `clock` as its clock."""
    with ENGINES[engine](now=clock.now, sleep=clock.sleep) as made:
        yield made


@pytest.fixture
def embedded() -> Iterator[EmbeddedInstance]:
    """Run Convoke on the embedded engine, for tests of that engine itself."""
    with held_instance() as made:
        yield made


@pytest.fixture(params=["data file", "stack"])
def place(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[CliTarget]:
    """Run the command line on a data file (`--data`), then on a deployed stack (`--stack`)."""
    with stack_target() if request.param == "stack" else data_file_target(tmp_path / "convoke.db") as made:
        yield made


@pytest.fixture
def deployed() -> Iterator[StackTarget]:
    """Run the command line on a deployed stack (`--stack`)."""
    with stack_target() as made:
        yield made
