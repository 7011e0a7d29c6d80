"""Start Chromium, create links that sign in to the console, send requests, and check the accessibility of a page."""

from __future__ import annotations

import json
import os
from base64 import b64encode
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlencode
from urllib.request import Request, urlopen

from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, Page, Playwright

from convoke.cli.console import console_link as link_of
from convoke.testing.instance import RunningInstance
from tests.support.chromium import find_chromium


def launch(playwright: Playwright) -> Browser:
    # CI runs as root. If root starts Chromium, Chromium works only without its sandbox.
    return playwright.chromium.launch(executable_path=find_chromium(), chromium_sandbox=os.geteuid() != 0)


def console_link(instance: RunningInstance) -> str:
    return link_of(instance.url, instance.account_sid, instance._engine.program.console_codes)


def post(instance: RunningInstance, path: str, form: Mapping[str, str]) -> dict[str, Any]:
    """Send a request that the SDK does not have, and return the body of the response."""
    credentials = b64encode(f"{instance.account_sid}:{instance.auth_token}".encode()).decode()
    request = Request(instance.url + path, urlencode(form).encode(), {"Authorization": f"Basic {credentials}"})
    with urlopen(request) as response:
        body: dict[str, Any] = json.load(response)
        return body


def accessibility_problems(page: Page) -> list[str]:
    violations = Axe().run(page).response["violations"]
    found = [f"{each['id']}: {each['nodes'][0]['html'][:150]}" for each in violations]
    # A page that is wider than the screen would scroll sideways.
    is_wider = page.evaluate("document.documentElement.scrollWidth > innerWidth")
    return [*found, "scrolls sideways"] if is_wider else found
