"""Start Chromium, and open pages that record the errors and warnings in the browser's console."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, sync_playwright

from convoke.testing.instance import RunningInstance, running
from tests.browser.example import Example, fill
from tests.browser.support import accessibility_problems, console_link, launch
from tests.support.chromium import find_chromium

FOLDER = Path(__file__).parent


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """If Chromium is missing, deselect the tests of this folder, and print one line.

    In CI, do not deselect the tests: without Chromium, they must fail.
    """
    if find_chromium() or os.environ.get("CI") == "true":
        return
    left_out = [item for item in items if item.path.is_relative_to(FOLDER)]
    items[:] = [item for item in items if item not in left_out]
    config.hook.pytest_deselected(items=left_out)
    if reporter := config.pluginmanager.get_plugin("terminalreporter"):
        reporter.write_line(f"Chromium not found: skipped {len(left_out)} tests of the console")


@pytest.fixture(autouse=True)
def event_loop_is_never_blocked() -> None:
    """Turn off the fixture of the same name, which makes a test fail if Convoke blocks the event loop.

    In these tests, Playwright runs its own event loop on the test's thread. Therefore the other fixture would
    also report each wait of `convoke.testing` on this thread.
    """


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        started = launch(playwright)
        yield started
        started.close()


class Visit:
    """A page of the browser, with the messages in the browser's console."""

    def __init__(self, browser: Browser, **options: Any) -> None:
        self.page: Page = browser.new_page(**options)
        self.problems: list[str] = []
        self.expected = "nothing"
        """Console messages with this text are not recorded as problems.

        The browser's console reports every response with an error status. A test that expects such a response sets this
        text.
        """
        self.page.on("console", self._note)
        self.page.on("pageerror", lambda error: self.problems.append(str(error)))

    def _note(self, message: Any) -> None:
        if message.type in ("error", "warning") and self.expected not in message.text:
            self.problems.append(message.text)


@pytest.fixture
def visit(browser: Browser) -> Iterator[Visit]:
    """Open a page.

    After the test, the browser must not have reported an error or a warning. Messages with the text `Visit.expected`
    are allowed.
    """
    opened = Visit(browser, viewport={"width": 1360, "height": 850}, locale="en-GB")
    yield opened
    opened.page.context.close()
    assert opened.problems == []


@pytest.fixture(scope="module")
def instance() -> Iterator[RunningInstance]:
    with running() as made:
        yield made


@pytest.fixture(scope="module")
def example(instance: RunningInstance) -> Example:
    return fill(instance)


@pytest.fixture
def page(visit: Visit, instance: RunningInstance, example: Example) -> Page:
    """Open the console with a link that signs in. Return the browser page."""
    visit.page.goto(console_link(instance))
    visit.page.get_by_role("heading", name="Conversations", level=1).wait_for()
    return visit.page


CheckAccessibility = Callable[[str], None]
"""Looks for accessibility problems in the current view of a page. The argument is a name for the view."""


@pytest.fixture(params=[(1360, "light"), (1360, "dark"), (380, "light"), (380, "dark")], ids=str)
def accessible(request: pytest.FixtureRequest, browser: Browser) -> Iterator[tuple[Page, CheckAccessibility]]:
    """Open a page with one of two widths and one of two colour schemes. Yield the page and a function to check it.

    The test fails at its end if a check or the browser's console has reported a problem, or if no check was made.
    """
    width, scheme = request.param
    visit = Visit(browser, viewport={"width": width, "height": 850}, color_scheme=scheme, bypass_csp=True)
    found: dict[str, list[str]] = {}

    def check(name: str) -> None:
        found[name] = accessibility_problems(visit.page)

    yield visit.page, check
    visit.page.context.close()
    assert found
    assert found == {name: [] for name in found}
    assert visit.problems == []
