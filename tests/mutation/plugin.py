"""A pytest plugin for mutation testing (`pytest -p tests.mutation.plugin`).

Under coverage.py, the plugin records which test executes a line: each test's id becomes coverage's dynamic context.
With the variable `ONLY_TESTS`, a JSON list of ids, pytest runs only those tests, in that order.
"""

from __future__ import annotations

import json
import os
import re

import coverage
import pytest

ONLY_TESTS = "CONVOKE_ONLY_TESTS"

_PHASE = re.compile(r" \((setup|call|teardown)\)$")
_GROUP = re.compile(r"(@[\w-]+)$")


def plain_id(test: str) -> str:
    """Return a test's id without the phase that pytest adds and the group that xdist adds."""
    return _GROUP.sub("", _PHASE.sub("", test))


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_logstart(nodeid: str) -> None:
    if measured := coverage.Coverage.current():
        measured.switch_context(plain_id(nodeid))


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    if ONLY_TESTS in os.environ:
        position = {test: index for index, test in enumerate(json.loads(os.environ[ONLY_TESTS]))}
        items[:] = sorted((item for item in items if item.nodeid in position), key=lambda item: position[item.nodeid])
