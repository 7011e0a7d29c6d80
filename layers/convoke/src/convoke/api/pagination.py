"""Split lists into pages. The JSON body of a page contains resources, and the URLs of the previous and the next page.

The URLs are in the object `meta`, except in Twilio's API `2010-04-01`. Each URL contains a page token, which is valid
only for the same list. See docs/behaviour/pagination.md.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import re
from collections.abc import Callable, Mapping
from dataclasses import field
from itertools import accumulate
from typing import TypeVar
from urllib.parse import urlencode

from pydantic import BaseModel, ConfigDict

from convoke.api.requests import Request
from convoke.domain.errors import InvalidParameterError
from convoke.domain.pages import Page, PageRequest
from convoke.lean_dataclass import lean_dataclass

DEFAULT_PAGE_SIZE = 50
MAX_PAGE_SIZE = 100
"""The maximum page size of each list whose contract has no `max_page_size`, such as the list of conversations."""

MAX_SMALL_PAGE_SIZE = 50
"""The maximum page size of some lists, such as the lists of participant conversations, events and roles.

One read of the table returns at most 100 items. A page of 50 participant conversations needs up to 100 items, and a
page of 100 events could need 101 items. Some other lists, such as roles, have the same maximum although they need fewer
items.
"""

MAX_PAGE_BYTES = 6_000_000
"""The maximum size of all resources on one page, with the escapes that `_bytes_on_lambda` describes.

A larger page is shortened, but keeps at least one resource. A Lambda function's response must be at most 6,291,456
bytes. The difference between the two numbers is left for `meta` and the headers. See
https://docs.aws.amazon.com/lambda/latest/dg/gettingstarted-limits.html.
"""

MAX_BYTES_PER_CHARACTER = 12
"""The maximum size of one character in a JSON string. A character needs at most two escapes, as in `\\ud83d\\ude00`."""

Resource = TypeVar("Resource")


WANTED_PAGE = "a token from a page of this list"

SIGNATURE_BYTES = 16
"""The length of the signature at the start of a page token. The signature is a truncated HMAC."""

FORWARD, BACKWARD = "PA", "PB"
"""The direction in a page token.

FORWARD is the page after the position. BACKWARD is the page before the position.
"""


@lean_dataclass
class PageTokens:
    """Creates and parses the page tokens of one list. A token is valid only for the same account, list and filters."""

    filtered_path: str
    """The path of the list, including the query parameters that filter or sort the list."""
    signing_key: bytes
    """The account's key, which signs page tokens."""

    def create(self, direction: str, position: str) -> str:
        content = direction + position
        return base64.urlsafe_b64encode(self._signature(content) + content.encode()).decode()

    def parse(self, token: str) -> tuple[str, str]:
        """Return the direction and the position that a token contains.

        Raise InvalidParameterError if the token is malformed or belongs to another list.
        """
        try:
            decoded = base64.urlsafe_b64decode(token.encode())
            content = decoded[SIGNATURE_BYTES:].decode()
        except ValueError as error:
            raise InvalidParameterError(parameter="PageToken", wanted=WANTED_PAGE) from error
        if not hmac.compare_digest(decoded[:SIGNATURE_BYTES], self._signature(content)):
            raise InvalidParameterError(parameter="PageToken", wanted=WANTED_PAGE)
        return content[:2], content[2:]

    def _signature(self, content: str) -> bytes:
        digest = hmac.digest(self.signing_key, f"{self.filtered_path}\n{content}".encode(), hashlib.sha256)
        return digest[:SIGNATURE_BYTES]


class Meta(BaseModel):
    model_config = ConfigDict(defer_build=True)

    page: int
    page_size: int
    first_page_url: str
    previous_page_url: str | None
    url: str
    next_page_url: str | None
    key: str


@lean_dataclass
class Pagination:
    """The pagination of one list request.

    A page token contains a direction and a position in the list, usually a SID. The token contains no offset, so the
    token stays valid while resources are added or removed.
    """

    request: Request
    url: str
    """The URL of the list, without query parameters."""
    key: str
    """The key under which the body contains the resources."""
    signing_key: bytes
    """The account's key, which signs page tokens."""
    max_page_size: int = MAX_PAGE_SIZE
    filters: Mapping[str, str | list[str]] = field(default_factory=dict)
    """The query parameters that filter or sort the list. Every URL in `meta` repeats these parameters."""
    descending: bool = False

    @property
    def page_size(self) -> int:
        return _page_size(self.request.query, self.max_page_size)

    @property
    def page_number(self) -> int:
        """The page number to show in `meta`. This number does not select a page. Only the page token selects a page."""
        return max(_integer(self.request.query, "Page", 0), 0) if "PageToken" in self.request.query else 0

    @property
    def page_request(self) -> PageRequest:
        """The page that the client asks for. Raises InvalidParameterError if the page size or the token is invalid."""
        return requested_page(self.request.query, self._tokens, self.max_page_size, descending=self.descending)

    def body(
        self, page: Page[Resource], represent: Callable[[Resource], BaseModel], sid: Callable[[Resource], str]
    ) -> str:
        """Return the JSON body of `page`. `represent` and `sid` return the representation and the SID of a resource."""
        resources = [represent(resource).model_dump_json() for resource in page.resources]
        page, resources = self._shortened(page, resources, sid)
        before, behind = ends_of(page, sid)
        meta = Meta(
            page=self.page_number,
            page_size=self.page_size,
            first_page_url=self._page_url(0),
            previous_page_url=self._neighbour(BACKWARD, self.page_number - 1, before),
            url=self._page_url(self.page_number, self.request.query.get("PageToken")),
            next_page_url=self._neighbour(FORWARD, self.page_number + 1, behind),
            key=self.key,
        )
        return self._render(meta, resources)

    def _render(self, meta: Meta, resources: list[str]) -> str:
        return f'{{"meta":{meta.model_dump_json()},"{self.key}":[{",".join(resources)}]}}'

    def _shortened(
        self, page: Page[Resource], texts: list[str], sid: Callable[[Resource], str]
    ) -> tuple[Page[Resource], list[str]]:
        """Shorten a page whose resources exceed MAX_PAGE_BYTES. Return the page and the JSON texts of its resources.

        At least one resource remains, even if this resource is larger than MAX_PAGE_BYTES.
        """
        if sum(map(len, texts)) * MAX_BYTES_PER_CHARACTER <= MAX_PAGE_BYTES:
            # Most pages are small. For a small page, this estimate saves the time to encode the texts.
            return page, texts
        forward = self.page_request.forward
        sizes = accumulate(map(_bytes_on_lambda, texts if forward else reversed(texts)))
        count = max(sum(size <= MAX_PAGE_BYTES for size in sizes), 1)
        if count >= len(texts):
            return page, texts
        positions = page.positions or [sid(resource) for resource in page.resources]
        shortened = page.shortened(count, positions, forward=forward)
        return shortened, texts[:count] if forward else texts[-count:]

    def _neighbour(self, direction: str, number: int, position: str | None) -> str | None:
        """Return the URL of the page before or after `position`, depending on `direction`.

        Return None if `position` is None.
        """
        return self._page_url(max(number, 0), self._tokens.create(direction, position)) if position else None

    def _page_url(self, number: int, token: str | None = None) -> str:
        query = {**self.filters, "PageSize": self.page_size, "Page": number} | ({"PageToken": token} if token else {})
        return f"{self.url}?{urlencode(query, doseq=True)}"

    @property
    def _tokens(self) -> PageTokens:
        # Do not sign the base URL. A token must stay valid if the client calls the API with another base URL.
        path = self.url.removeprefix(self.request.base_url)
        return PageTokens(f"{path}?{urlencode(self.filters, doseq=True)}" if self.filters else path, self.signing_key)


class RestMeta(BaseModel):
    """The paging fields of a page in Twilio's API `2010-04-01`. The URIs contain no scheme and no host."""

    model_config = ConfigDict(defer_build=True)

    first_page_uri: str
    end: int
    """The index of the page's last resource in the list."""
    previous_page_uri: str | None
    uri: str
    page_size: int
    start: int
    """The index of the page's first resource in the list."""
    next_page_uri: str | None
    page: int


@lean_dataclass
class RestPagination(Pagination):
    """The pagination of a list in Twilio's API `2010-04-01`. A page has relative URIs, but no object `meta`."""

    def _render(self, meta: Meta, resources: list[str]) -> str:
        start = meta.page * meta.page_size
        rest = RestMeta(
            first_page_uri=self._uri(meta.first_page_url) or "",
            end=start + max(len(resources) - 1, 0),
            previous_page_uri=self._uri(meta.previous_page_url),
            uri=self._uri(meta.url) or "",
            page_size=meta.page_size,
            start=start,
            next_page_uri=self._uri(meta.next_page_url),
            page=meta.page,
        )
        return f'{rest.model_dump_json()[:-1]},"{self.key}":[{",".join(resources)}]}}'

    def _uri(self, url: str | None) -> str | None:
        return url.removeprefix(self.request.base_url) if url else None


def requested_page(
    query: Mapping[str, str], tokens: PageTokens, max_page_size: int, *, descending: bool = False
) -> PageRequest:
    """Return the page that a query asks for. Raise InvalidParameterError if the page size or the token is invalid."""
    size, token = _page_size(query, max_page_size), query.get("PageToken")
    if token is None:
        return PageRequest(size, descending=descending)
    direction, position = tokens.parse(token)
    return PageRequest(size, position, forward=direction == FORWARD, descending=descending)


def ends_of(page: Page[Resource], sid: Callable[[Resource], str]) -> tuple[str | None, str | None]:
    """Return the positions for the tokens of the previous and the next page.

    A position is None if the list has no such page.
    """
    # A filter can remove all resources from a page, although the list has further pages. Then the page has no SIDs, and
    # the repository sets `before` and `behind`.
    before = (page.before or _sid_of(page.resources[:1], sid)) if page.has_previous else None
    behind = (page.behind or _sid_of(page.resources[-1:], sid)) if page.has_next else None
    return before, behind


def _page_size(query: Mapping[str, str], max_page_size: int) -> int:
    """Return the requested page size. If the value is too small or too large, return the nearest allowed value.

    A value outside the allowed range is not an error, because SDKs send their argument `limit` as the page size. Raise
    InvalidParameterError if the value is not an integer.
    """
    return min(max(_integer(query, "PageSize", DEFAULT_PAGE_SIZE), 1), max_page_size)


def _integer(query: Mapping[str, str], name: str, default: int) -> int:
    text = query.get(name, str(default))
    if not re.fullmatch("-?[0-9]{1,18}", text):
        raise InvalidParameterError(parameter=name, wanted="an integer")
    return int(text)


def _bytes_on_lambda(text: str) -> int:
    """Return how many bytes a text occupies at most in the response of a Lambda function.

    The response is a JSON document that contains the text as a string. The Lambda runtime may escape characters that
    are not ASCII. The result is the size with all escapes.
    """
    return len(json.dumps(text))


def _sid_of(resources: list[Resource], sid: Callable[[Resource], str]) -> str | None:
    return sid(resources[0]) if resources else None
