"""Paginate lists for chat clients. The page tokens are signed as in api/pagination.py.

`api/chat/resources/sync.py` paginates the lists of Sync items.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from convoke.api.chat.requests import ChatRequest
from convoke.api.operations import Operations
from convoke.api.pagination import (
    BACKWARD,
    FORWARD,
    MAX_SMALL_PAGE_SIZE,
    PageTokens,
    ends_of,
    requested_page,
)
from convoke.domain.pages import Page, PageRequest

Resource = TypeVar("Resource")


class ChatPagination:
    """The pagination of one list request."""

    def __init__(self, operations: Operations, request: ChatRequest, path: str) -> None:
        """`path` is the path of the list."""
        self._tokens = PageTokens(path, operations.accounts.page_key(request.account.sid))
        self._query = request.params

    @property
    def page_request(self) -> PageRequest:
        """The page that the client asks for. Raises InvalidParameterError if the page size or the token is invalid."""
        return requested_page(self._query, self._tokens, MAX_SMALL_PAGE_SIZE)

    def meta(self, page: Page[Resource], sid: Callable[[Resource], str]) -> dict[str, str | None]:
        """Return the field `meta` with the tokens of the previous and the next page.

        `sid` is a function that returns the SID by which a page token identifies a resource.
        """
        before, behind = ends_of(page, sid)
        return {"previous_token": self._token(BACKWARD, before), "next_token": self._token(FORWARD, behind)}

    def _token(self, direction: str, position: str | None) -> str | None:
        return self._tokens.create(direction, position) if position else None
