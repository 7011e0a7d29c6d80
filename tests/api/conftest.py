"""Fixtures start instances for the behaviour tests.

How to choose the engine of a test:

- Validation, representations, texts and routing do not depend on the engine. A test of such a feature uses the fixture
  `instance` without a mark. The test runs once, on the embedded engine.
- Transactions, conditions, index queries, paging, queues, the stream, timeouts and the Lambda handlers can differ by
  engine. A test of such a feature has the mark `@pytest.mark.each_engine`. The test runs twice: on the embedded engine,
  and on the AWS engine with moto, which imitates AWS. A run on moto takes much longer than on the embedded engine.
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
    """Run each test that is marked `each_engine` once on every engine.

    The test ids start with the engine, because this hook runs first. Without `tryfirst`, the order of the parameters in
    an id would depend on the command line of pytest. In that case, `make mutants` could not find tests by the ids that
    `make coverage` recorded.
    """
    if metafunc.definition.get_closest_marker("each_engine"):
        metafunc.parametrize("engine", ENGINES)


@pytest.fixture
def engine() -> str:
    """Return the name of the embedded engine.

    For a test that is marked `each_engine`, `pytest_generate_tests` overrides the name.
    """
    return EMBEDDED


@pytest.fixture
def instance(engine: str) -> Iterator[Instance]:
    """Run Convoke on the embedded engine.

    Mark a test `each_engine` if its outcome can depend on the engine. The test then runs once on every engine.
    """
    with ENGINES[engine]() as made:
        yield made


@pytest.fixture(params=["the account's tree", "a service's tree"])
def tree(instance: Instance, request: pytest.FixtureRequest) -> Tree:
    """Return a tree of paths. Each test runs twice: in the account's default service, and in another service."""
    return Tree(instance, in_service=request.param == "a service's tree")


@pytest.fixture
def clock() -> ManualClock:
    """Return a clock that moves only when the test moves the clock."""
    return ManualClock()


@pytest.fixture
def clocked(engine: str, clock: ManualClock) -> Iterator[Instance]:
    """Run Convoke on the same engine as `instance`, with `clock` as its clock."""
    with ENGINES[engine](now=clock.now, sleep=clock.sleep) as made:
        yield made


@pytest.fixture
def embedded() -> Iterator[EmbeddedInstance]:
    """Run Convoke on the embedded engine. Tests that concern only the embedded engine use this fixture."""
    with held_instance() as made:
        yield made


@pytest.fixture(params=["data file", "stack"])
def place(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[CliTarget]:
    """Run the test for each target of the command line: a data file (`--data`) and a deployed stack (`--stack`)."""
    with stack_target() if request.param == "stack" else data_file_target(tmp_path / "convoke.db") as made:
        yield made


@pytest.fixture
def deployed() -> Iterator[StackTarget]:
    """Provide a deployed stack as the target of the command line (`--stack`)."""
    with stack_target() as made:
        yield made
