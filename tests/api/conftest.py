"""Fixtures for the behaviour tests: instances, their clock, and targets of the command line.

How to choose the engine of a test:

- Validation, representations, texts and routing do not depend on the engine. A test of such a feature uses the fixture
  `instance` without a mark. The test runs once, on the embedded engine.
- Transactions, conditions, index queries, paging, queues, the stream, timeouts and the Lambda handlers can differ by
  engine. A test of such a feature has the mark `@pytest.mark.each_engine`. The test runs twice: on the embedded engine,
  and on the AWS engine with moto, which imitates AWS. moto is much slower than the embedded engine.
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
from tests.support.trees import Tree

EMBEDDED = "embedded"

ENGINES: dict[str, Callable[..., AbstractContextManager[Instance]]] = {
    EMBEDDED: held_instance,
    "aws-on-moto": moto_instance,
}


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "each_engine: run the test on the embedded engine and on the AWS engine (moto)")


@pytest.hookimpl(tryfirst=True)
def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Run each test with the mark `each_engine` once on every engine.

    This hook must run first, so that every test id starts with the engine. Otherwise the ids would depend on pytest's
    command line. `make mutants` could then not find the ids that `make coverage` recorded.
    """
    if metafunc.definition.get_closest_marker("each_engine"):
        metafunc.parametrize("engine", ENGINES)


@pytest.fixture
def engine() -> str:
    """Return `embedded`. For a test with the mark `each_engine`, `pytest_generate_tests` chooses the engine."""
    return EMBEDDED


@pytest.fixture
def instance(engine: str) -> Iterator[Instance]:
    """Run Convoke on the engine that the fixture `engine` names: the embedded engine by default.

    A test whose outcome can depend on the engine needs the mark `each_engine`. The test then runs on every engine.
    """
    with ENGINES[engine]() as made:
        yield made


@pytest.fixture(params=["the account's tree", "a service's tree"])
def tree(instance: Instance, request: pytest.FixtureRequest) -> Tree:
    """Return the paths and the SDK client of one service.

    The test runs twice: with the account's default service and paths without a service SID, and with a new service.
    """
    return Tree(instance, in_service=request.param == "a service's tree")


@pytest.fixture
def clock() -> ManualClock:
    """Return a clock that moves only if the test moves it or Convoke calls its `sleep`."""
    return ManualClock()


@pytest.fixture
def clocked(engine: str, clock: ManualClock) -> Iterator[Instance]:
    """Run Convoke as the fixture `instance` does, but with the fixture `clock` as its clock."""
    with ENGINES[engine](now=clock.now, sleep=clock.sleep) as made:
        yield made


@pytest.fixture
def embedded() -> Iterator[EmbeddedInstance]:
    """Run Convoke on the embedded engine."""
    with held_instance() as made:
        yield made


@pytest.fixture(params=["data file", "stack"])
def place(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[CliTarget]:
    """Return a target of the command line.

    The test runs twice: with a data file (`--data`) and with a deployed stack (`--stack`).
    """
    with stack_target() if request.param == "stack" else data_file_target(tmp_path / "convoke.db") as made:
        yield made


@pytest.fixture
def deployed() -> Iterator[StackTarget]:
    """Return a deployed stack as the target of the command line (`--stack`)."""
    with stack_target() as made:
        yield made
