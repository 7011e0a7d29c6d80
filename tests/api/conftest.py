"""Fixtures for the behaviour tests."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from pathlib import Path

import pytest

from tests.support.aws import moto_instance
from tests.support.cli_targets import CliTarget, StackTarget, data_file_target, stack_target
from tests.support.instances import EmbeddedInstance, Instance, held_instance
from tests.support.manual_clock import ManualClock

ENGINES: dict[str, Callable[..., AbstractContextManager[Instance]]] = {
    "embedded": held_instance,
    "aws-on-moto": moto_instance,
}


@pytest.fixture(params=ENGINES)
def instance(request: pytest.FixtureRequest) -> Iterator[Instance]:
    """On each engine in turn."""
    with ENGINES[request.param]() as made:
        yield made


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture(params=ENGINES)
def clocked(request: pytest.FixtureRequest, clock: ManualClock) -> Iterator[Instance]:
    """On each engine in turn, by `clock`."""
    with ENGINES[request.param](now=clock.now, sleep=clock.sleep) as made:
        yield made


@pytest.fixture
def embedded() -> Iterator[EmbeddedInstance]:
    with held_instance() as made:
        yield made


@pytest.fixture(params=["data file", "stack"])
def place(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[CliTarget]:
    with stack_target() if request.param == "stack" else data_file_target(tmp_path / "convoke.db") as made:
        yield made


@pytest.fixture
def deployed() -> Iterator[StackTarget]:
    with stack_target() as made:
        yield made
