"""Fixtures and hooks for all tests.

At the end of a test run, a hook prints how many crashes each test simulated. The numbers of all pytest-xdist workers
are added.
"""

from __future__ import annotations

import signal
from collections import Counter
from collections.abc import Iterator
from typing import Any

import pytest

from convoke.cli.ministack import ministack
from convoke.operations.conversations import sleep_before_retry
from tests.support.blocking import BlockingGuard
from tests.support.crashes import CRASH_POINTS

KEY = "crash points"


def pytest_configure() -> None:
    # A shell without job control makes a background command ignore SIGINT. Without the next line, the processes that
    # tests start would ignore SIGINT too.
    signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(autouse=True)
def event_loop_is_never_blocked(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Make a test fail if Convoke sleeps or waits on the thread of an event loop. See BlockingGuard."""
    guard = BlockingGuard()
    guard.install(monkeypatch)
    token = sleep_before_retry.set(guard.sleep)
    yield
    sleep_before_retry.reset(token)
    assert guard.violations == []


@pytest.fixture(scope="module")
def ministack_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with ministack(tmp_path_factory.mktemp("ministack")) as url:
        yield url


def pytest_sessionfinish(session: pytest.Session) -> None:
    """Send the counts of a pytest-xdist worker to the controller."""
    if output := getattr(session.config, "workeroutput", None):
        output[KEY] = dict(CRASH_POINTS)


@pytest.hookimpl(optionalhook=True)
def pytest_testnodedown(node: Any) -> None:
    CRASH_POINTS.update(Counter(getattr(node, "workeroutput", {}).get(KEY, {})))


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    if CRASH_POINTS:
        terminalreporter.section(KEY)
        for test, points in sorted(CRASH_POINTS.items()):
            terminalreporter.line(f"{points:5} {test}")
        terminalreporter.line(f"{CRASH_POINTS.total():5} in all")
