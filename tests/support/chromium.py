"""Find a Chromium for the tests of the console."""

from __future__ import annotations

import shutil

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")


def find_chromium() -> str | None:
    """Return the path of a Chromium executable on PATH. Return None if there is no Chromium."""
    return next((found for name in NAMES if (found := shutil.which(name))), None)
