"""A response of the API. Only AWS imports Powertools: its import takes a tenth of the start on one machine."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(slots=True)
class Response:
    status_code: int
    content_type: str | None = None
    """Becomes the header Content-Type."""
    body: str = ""
    headers: dict[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if self.content_type:
            self.headers.setdefault("Content-Type", self.content_type)
