"""The end of a test run says how many crash points it tried, whichever processes ran the tests."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from typing import Any

import pytest

from convoke.cli.ministack import ministack
from tests.support.crashes import TRIED

KEY = "crash points"


@pytest.fixture(scope="module")
def ministack_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with ministack(tmp_path_factory.mktemp("ministack")) as url:
        yield url


def pytest_sessionfinish(session: pytest.Session) -> None:
    """In a process of xdist's, what it tried goes to the one that started it."""
    if output := getattr(session.config, "workeroutput", None):
        output[KEY] = dict(TRIED)


@pytest.hookimpl(optionalhook=True)
def pytest_testnodedown(node: Any) -> None:
    TRIED.update(Counter(getattr(node, "workeroutput", {}).get(KEY, {})))


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    if TRIED:
        terminalreporter.section(KEY)
        for test, points in sorted(TRIED.items()):
            terminalreporter.line(f"{points:5} {test}")
        terminalreporter.line(f"{TRIED.total():5} in all")
