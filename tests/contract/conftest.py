from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.support.instances import Instance, held_instance


@pytest.fixture
def instance() -> Iterator[Instance]:
    with held_instance() as made:
        yield made
