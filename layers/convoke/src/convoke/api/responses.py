"""A response of the API.

The API does not use the Response class of Powertools, because the import of Powertools would take a tenth of the
embedded engine's start time. Only the engine on AWS imports Powertools.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import BinaryIO


@dataclass(slots=True)
class Response:
    status_code: int
    content_type: str | None = None
    """The value of the header Content-Type."""
    body: str = ""
    headers: dict[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if self.content_type:
            self.headers.setdefault("Content-Type", self.content_type)


@dataclass(slots=True)
class FileResponse(Response):
    """A response whose body is the content of a file. Only the embedded gateway can send such a response."""

    open: Callable[[], BinaryIO] = field(kw_only=True)
    """A function that opens the file. The function raises NotFoundError if the file no longer exists."""
    size: int = field(kw_only=True)
    """The number of bytes of the file."""
