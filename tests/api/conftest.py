"""Fixtures for the behaviour tests."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from pathlib import Path

import pytest

from tests.support.aws import moto_instance
from tests.support.hand_clock import HandClock
from tests.support.instances import EmbeddedInstance, Instance, held_instance
from tests.support.places import Deployed, Place, on_data, on_stack

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
def clock() -> HandClock:
    return HandClock()


@pytest.fixture(params=ENGINES)
def clocked(request: pytest.FixtureRequest, clock: HandClock) -> Iterator[Instance]:
    """On each engine in turn, by `clock`."""
    with ENGINES[request.param](now=clock.now, sleep=clock.sleep) as made:
        yield made


@pytest.fixture
def embedded() -> Iterator[EmbeddedInstance]:
    with held_instance() as made:
        yield made


@pytest.fixture(params=["data file", "stack"])
def place(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Place]:
    with on_stack() if request.param == "stack" else on_data(tmp_path / "convoke.db") as made:
        yield made


@pytest.fixture
def deployed() -> Iterator[Deployed]:
    with on_stack() as made:
        yield made
