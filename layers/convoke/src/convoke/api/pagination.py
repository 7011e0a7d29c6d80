"""Lists: the meta block, and page tokens that only the list they belong to takes (reference, a.0)."""

from __future__ import annotations

import base64
import hashlib
import hmac
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TypeVar
from urllib.parse import urlencode

from pydantic import BaseModel, ConfigDict

from convoke.api.requests import Request
from convoke.domain.errors import InvalidParameterError
from convoke.domain.pages import Page, PageRequest

Resource = TypeVar("Resource")

DEFAULT_PAGE_SIZE = 50
MAX_PAGE_SIZE = 100

WANTED_PAGE = "a token from a page of this list"


class Meta(BaseModel):
    model_config = ConfigDict(defer_build=True)

    page: int
    page_size: int
    first_page_url: str
    previous_page_url: str | None
    url: str
    next_page_url: str | None
    key: str


@dataclass(frozen=True, slots=True)
class Pagination:
    """Pages of the list at `url` under `key`, for one request.

    A token is the position next to the page, mostly a SID, and the direction to go on in, signed for this list of this
    account, with these filters: it stays right whatever is added or removed meanwhile.
    """

    request: Request
    url: str
    key: str
    signing_key: bytes
    largest: int = MAX_PAGE_SIZE
    filters: Mapping[str, str] = field(default_factory=dict)
    """As the client sent them; they stand in every URL before the rest."""
    descending: bool = False

    @property
    def size(self) -> int:
        """A size out of bounds is moved into them, as SDKs send their `limit` without a cap."""
        return min(max(self._integer("PageSize", DEFAULT_PAGE_SIZE), 1), self.largest)

    @property
    def number(self) -> int:
        """For show only; the token alone says where the page begins."""
        return max(self._integer("Page", 0), 0) if "PageToken" in self.request.query else 0

    @property
    def wanted(self) -> PageRequest:
        token = self.request.query.get("PageToken")
        if token is None:
            return PageRequest(self.size, descending=self.descending)
        direction, position = self._opened(token)
        return PageRequest(self.size, position, forward=direction == "PA", descending=self.descending)

    def body(
        self, page: Page[Resource], represent: Callable[[Resource], BaseModel], sid: Callable[[Resource], str]
    ) -> str:
        shown = [represent(resource).model_dump_json() for resource in page.resources]
        before = (page.before or _sid_of(page.resources[:1], sid)) if page.has_previous else None
        behind = (page.behind or _sid_of(page.resources[-1:], sid)) if page.has_next else None
        meta = Meta(
            page=self.number,
            page_size=self.size,
            first_page_url=self._page_url(0),
            previous_page_url=self._neighbour("PB", self.number - 1, before),
            url=self._page_url(self.number, self.request.query.get("PageToken")),
            next_page_url=self._neighbour("PA", self.number + 1, behind),
            key=self.key,
        )
        return f'{{"meta":{meta.model_dump_json()},"{self.key}":[{",".join(shown)}]}}'

    def _neighbour(self, direction: str, number: int, position: str | None) -> str | None:
        """The URL of the page beyond `position`; None where there is none."""
        return self._page_url(max(number, 0), self._token(direction, position)) if position else None

    def _page_url(self, number: int, token: str | None = None) -> str:
        query = {**self.filters, "PageSize": self.size, "Page": number} | ({"PageToken": token} if token else {})
        return f"{self.url}?{urlencode(query)}"

    def _integer(self, name: str, default: int) -> int:
        text = self.request.query.get(name, str(default))
        if not re.fullmatch("-?[0-9]{1,18}", text):
            raise InvalidParameterError(parameter=name, wanted="an integer")
        return int(text)

    def _token(self, direction: str, position: str) -> str:
        content = direction + position
        return base64.urlsafe_b64encode(self._signature(content) + content.encode()).decode()

    def _opened(self, token: str) -> tuple[str, str]:
        """Direction and position of a token. Raises InvalidParameterError for one that was not made for this list."""
        try:
            opened = base64.urlsafe_b64decode(token.encode())
            content = opened[16:].decode()
        except ValueError as error:
            raise InvalidParameterError(parameter="PageToken", wanted=WANTED_PAGE) from error
        if not hmac.compare_digest(opened[:16], self._signature(content)):
            raise InvalidParameterError(parameter="PageToken", wanted=WANTED_PAGE)
        return content[:2], content[2:]

    def _signature(self, content: str) -> bytes:
        """Over the list, its filters and the content: a token of another list, or another account, does not fit."""
        path = self.url.removeprefix(self.request.origin)
        listed = f"{path}?{urlencode(self.filters)}" if self.filters else path
        return hmac.digest(self.signing_key, f"{listed}\n{content}".encode(), hashlib.sha256)[:16]


def _sid_of(edge: list[Resource], sid: Callable[[Resource], str]) -> str | None:
    return sid(edge[0]) if edge else None
