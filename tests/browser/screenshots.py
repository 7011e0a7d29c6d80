"""Take the screenshots of docs/console.md: six views, in light and dark mode. `make screenshots` runs this module."""

from __future__ import annotations

import sys
from pathlib import Path

from playwright.sync_api import Browser, Page, sync_playwright

from convoke.testing.instance import RunningInstance, running
from tests.browser.example import PHONE, Example, fill
from tests.browser.support import console_link, launch

FOLDER = Path(__file__).parents[2] / "docs/assets/console"

SIZE = {"width": 1360, "height": 850}


def conversation(page: Page, example: Example) -> None:
    page.goto(f"{page.url.partition('#')[0]}#/conversations/{example.service_sid}/{example.viewing_sid}")
    page.get_by_text("See you on Thursday!").wait_for()


def timeline(page: Page, example: Example) -> None:
    page.get_by_role("link", name="Events of this conversation").click()
    page.locator("summary", has_text="carol").click()
    page.locator(".attempt summary").first.click()
    page.get_by_text("X-Twilio-Signature").first.wait_for()


def errors(page: Page, example: Example) -> None:
    page.get_by_role("link", name="Error log").click()
    page.locator("summary", has_text="50427").click()
    page.get_by_text("Open the conversation").wait_for()


def webhooks(page: Page, example: Example) -> None:
    page.get_by_role("link", name="Webhooks").click()
    page.get_by_role("button", name="Compute from").click()
    page.get_by_role("cell", name="account").wait_for()


def requests(page: Page, example: Example) -> None:
    page.get_by_role("link", name="Requests").click()
    page.locator("summary", has_text="ConversationWithParticipants").first.click()
    page.get_by_role("button", name="Show").last.click()


def phone(page: Page, example: Example) -> None:
    page.get_by_role("link", name="Phones").click()
    page.locator("a.item", has_text=PHONE).click()
    page.get_by_text("See you on Thursday!").wait_for()


VIEWS = (conversation, timeline, errors, webhooks, requests, phone)


def take(browser: Browser, instance: RunningInstance, example: Example, scheme: str, folder: Path) -> None:
    page = browser.new_page(viewport=SIZE, color_scheme=scheme, locale="en-GB", timezone_id="UTC")  # type: ignore[arg-type]
    page.goto(console_link(instance))
    page.get_by_role("heading", name="Conversations", level=1).wait_for()
    for view in VIEWS:
        view(page, example)
        page.mouse.move(0, 0)
        page.wait_for_timeout(300)
        page.screenshot(path=folder / f"{view.__name__}-{scheme}.png")
    page.close()


def main(folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    with running() as instance, sync_playwright() as playwright:
        example = fill(instance)
        browser = launch(playwright)
        for scheme in ("light", "dark"):
            take(browser, instance, example, scheme, folder)
        browser.close()


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else FOLDER)
