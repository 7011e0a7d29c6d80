from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager

import pytest

from convoke.local.aws_stack import ministack
from tests.support.aws import moto_instance
from tests.support.instances import EmbeddedInstance, Instance, held_instance

ENGINES: dict[str, Callable[[], AbstractContextManager[Instance]]] = {
    "embedded": held_instance,
    "aws-on-moto": moto_instance,
}


@pytest.fixture(params=ENGINES)
def instance(request: pytest.FixtureRequest) -> Iterator[Instance]:
    """On each engine in turn."""
    with ENGINES[request.param]() as made:
        yield made


@pytest.fixture
def embedded() -> Iterator[EmbeddedInstance]:
    with held_instance() as made:
        yield made


@pytest.fixture(scope="module")
def ministack_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with ministack(tmp_path_factory.mktemp("ministack")) as url:
        yield url
