"""Pages of lists: the meta block, and page tokens that are valid for one list only.

See docs/behaviour/pagination.md.
"""

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
from convoke.domain.pages import DEFAULT_PAGE_SIZE, MAX_PAGE_SIZE, Page, PageRequest

Resource = TypeVar("Resource")


WANTED_PAGE = "a token from a page of this list"

SIGNATURE_BYTES = 16
"""The length of the truncated HMAC at the start of a token."""

FORWARD, BACKWARD = "PA", "PB"
"""How the content of a token begins: the page after a position, or the page before it."""


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
    """The pagination of one request for the list at `url`, whose resources stand under `key` in the body.

    A token holds a direction and a position in the list (usually a SID), not an offset. So it stays valid when
    resources are added or removed. It is signed for this list of this account with these filters.
    """

    request: Request
    url: str
    key: str
    signing_key: bytes
    max_page_size: int = MAX_PAGE_SIZE
    filters: Mapping[str, str] = field(default_factory=dict)
    """The filters as the client sent them. Every URL of the meta block begins its query with them."""
    descending: bool = False

    @property
    def page_size(self) -> int:
        """The requested page size, clamped to the limits: SDKs send their `limit` as the page size without a cap."""
        return min(max(self._integer("PageSize", DEFAULT_PAGE_SIZE), 1), self.max_page_size)

    @property
    def page_number(self) -> int:
        """The page number for the meta block. Only the token decides which page is returned."""
        return max(self._integer("Page", 0), 0) if "PageToken" in self.request.query else 0

    @property
    def page_request(self) -> PageRequest:
        """The page that the client asks for. Raises InvalidParameterError if the page size or token is invalid."""
        token = self.request.query.get("PageToken")
        if token is None:
            return PageRequest(self.page_size, descending=self.descending)
        direction, position = self._parse_token(token)
        return PageRequest(self.page_size, position, forward=direction == FORWARD, descending=self.descending)

    def body(
        self, page: Page[Resource], represent: Callable[[Resource], BaseModel], sid: Callable[[Resource], str]
    ) -> str:
        """Return the JSON body of `page`."""
        resources = [represent(resource).model_dump_json() for resource in page.resources]
        # A filter can leave a page empty although the list goes on: then the repository sets `before` and `behind`.
        before = (page.before or _sid_of(page.resources[:1], sid)) if page.has_previous else None
        behind = (page.behind or _sid_of(page.resources[-1:], sid)) if page.has_next else None
        meta = Meta(
            page=self.page_number,
            page_size=self.page_size,
            first_page_url=self._page_url(0),
            previous_page_url=self._neighbour(BACKWARD, self.page_number - 1, before),
            url=self._page_url(self.page_number, self.request.query.get("PageToken")),
            next_page_url=self._neighbour(FORWARD, self.page_number + 1, behind),
            key=self.key,
        )
        return f'{{"meta":{meta.model_dump_json()},"{self.key}":[{",".join(resources)}]}}'

    def _neighbour(self, direction: str, number: int, position: str | None) -> str | None:
        """Return the URL of the page before or after `position`. Returns None if there is no such page."""
        return self._page_url(max(number, 0), self._token(direction, position)) if position else None

    def _page_url(self, number: int, token: str | None = None) -> str:
        query = {**self.filters, "PageSize": self.page_size, "Page": number} | ({"PageToken": token} if token else {})
        return f"{self.url}?{urlencode(query)}"

    def _integer(self, name: str, default: int) -> int:
        text = self.request.query.get(name, str(default))
        if not re.fullmatch("-?[0-9]{1,18}", text):
            raise InvalidParameterError(parameter=name, wanted="an integer")
        return int(text)

    def _token(self, direction: str, position: str) -> str:
        content = direction + position
        return base64.urlsafe_b64encode(self._signature(content) + content.encode()).decode()

    def _parse_token(self, token: str) -> tuple[str, str]:
        """Return direction and position of a token. Raises InvalidParameterError if it is not a token of this list."""
        try:
            decoded = base64.urlsafe_b64decode(token.encode())
            content = decoded[SIGNATURE_BYTES:].decode()
        except ValueError as error:
            raise InvalidParameterError(parameter="PageToken", wanted=WANTED_PAGE) from error
        if not hmac.compare_digest(decoded[:SIGNATURE_BYTES], self._signature(content)):
            raise InvalidParameterError(parameter="PageToken", wanted=WANTED_PAGE)
        return content[:2], content[2:]

    def _signature(self, content: str) -> bytes:
        """Sign the list's path, its filters and the content with the account's key."""
        # Without the origin: a token stays valid if the client reaches the API under another host name.
        path = self.url.removeprefix(self.request.origin)
        filtered_path = f"{path}?{urlencode(self.filters)}" if self.filters else path
        digest = hmac.digest(self.signing_key, f"{filtered_path}\n{content}".encode(), hashlib.sha256)
        return digest[:SIGNATURE_BYTES]


def _sid_of(resources: list[Resource], sid: Callable[[Resource], str]) -> str | None:
    return sid(resources[0]) if resources else None
