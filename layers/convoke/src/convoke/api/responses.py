"""Define the responses of the API.

The API does not use the class Response of Powertools, because importing Powertools would take a tenth of the embedded
engine's start time.
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
    """A response whose body is a file. Only the embedded gateway can send a FileResponse."""

    open: Callable[[], BinaryIO] = field(kw_only=True)
    """Opens the file. Raises NotFoundError if the file no longer exists."""
    size: int = field(kw_only=True)
    """The size of the file, in bytes."""
