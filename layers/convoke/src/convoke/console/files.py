"""Provide the files of the console.

The path of each file except the page contains a hash of all files. A browser can therefore cache these files for a
year.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import NamedTuple

FOLDER = Path(__file__).parent / "static"

PAGE = "index.html"

CONTENT_TYPES = {
    "base.js": "text/javascript; charset=utf-8",
    "console.css": "text/css; charset=utf-8",
    "conversations.js": "text/javascript; charset=utf-8",
    "icon.svg": "image/svg+xml",
    "pages.js": "text/javascript; charset=utf-8",
}
"""Maps each file except the page to its content type.

The number of files is small, because on AWS each request for a file invokes the API function.
"""


class ConsoleFile(NamedTuple):
    content_type: str
    text: str
    tag: str
    """The value of the header ETag."""


@cache
def version() -> str:
    """Return a hash of all files. The hash is part of the path of each file except the page."""
    texts = (FOLDER.joinpath(name).read_bytes() for name in (PAGE, *sorted(CONTENT_TYPES)))
    return hashlib.sha256(b"\0".join(texts)).hexdigest()[:16]


@cache
def file(name: str) -> ConsoleFile | None:
    """Return a file, or None if CONTENT_TYPES does not contain the name."""
    if name not in CONTENT_TYPES:
        return None
    return file_of(CONTENT_TYPES[name], FOLDER.joinpath(name).read_text())


def page(values: Mapping[str, str]) -> ConsoleFile:
    """Return the page. Each of `values` replaces a placeholder: `poll_seconds` replaces `{{poll_seconds}}`.

    The values must contain no characters that have a meaning in HTML.
    """
    text = FOLDER.joinpath(PAGE).read_text()
    for name, value in {**values, "version": version()}.items():
        text = text.replace(f"{{{{{name}}}}}", value)
    return file_of("text/html; charset=utf-8", text)


def file_of(content_type: str, text: str) -> ConsoleFile:
    """Return a file with its ETag."""
    return ConsoleFile(content_type, text, f'"{hashlib.sha256(text.encode()).hexdigest()[:32]}"')
