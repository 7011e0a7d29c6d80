"""Start Chromium, and create links that sign in to the console."""

from __future__ import annotations

import os

from playwright.sync_api import Browser, Playwright

from convoke.cli.console import console_link as link_of
from convoke.testing.instance import RunningInstance
from tests.support.chromium import find_chromium


def launch(playwright: Playwright) -> Browser:
    # CI runs as root. For root, Chromium starts only without its sandbox.
    return playwright.chromium.launch(executable_path=find_chromium(), chromium_sandbox=os.geteuid() != 0)


def console_link(instance: RunningInstance) -> str:
    return link_of(instance.url, instance.account_sid, instance._engine.program.console_codes)
