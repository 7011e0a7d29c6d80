"""A pytest plugin for mutation testing (`pytest -p tests.mutation.plugin`).

If coverage.py measures the test run, the plugin sets coverage.py's dynamic context to the id of the running test.
Therefore the data of coverage.py names the tests that execute each line.

The environment variable CONVOKE_ONLY_TESTS can name a file with a JSON list of test ids. pytest then runs only these
tests, in the order of the list.
"""

from __future__ import annotations

import json
import os
import re
from pathlib import Path

import coverage
import pytest

ONLY_TESTS = "CONVOKE_ONLY_TESTS"

_PHASE = re.compile(r" \((setup|call|teardown)\)$")
_GROUP = re.compile(r"(@[\w-]+)$")


def plain_id(test: str) -> str:
    """Return a test id without the suffixes that pytest (the phase) and pytest-xdist (the group) add."""
    return _GROUP.sub("", _PHASE.sub("", test))


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_logstart(nodeid: str) -> None:
    if measured := coverage.Coverage.current():
        measured.switch_context(plain_id(nodeid))


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    if chosen := os.environ.get(ONLY_TESTS):
        position = {test: index for index, test in enumerate(json.loads(Path(chosen).read_text()))}
        items[:] = sorted((item for item in items if item.nodeid in position), key=lambda item: position[item.nodeid])
