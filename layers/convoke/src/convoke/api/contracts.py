"""The contract of a route: what it takes and what it returns. `openapi.py` makes the OpenAPI document of the contracts.

A contract is written beside the handler it describes, in `resources/`. The tests check every response against it.
"""

from __future__ import annotations

from dataclasses import dataclass

from convoke.api.representations import Representation
from convoke.domain import errors as catalogue
from convoke.domain.errors import ConversationsError
from convoke.domain.model import Model
from convoke.domain.pages import MAX_PAGE_SIZE

CHANGE_REFUSED = (
    catalogue.ConversationBeingDeletedError,
    catalogue.ConversationClosedError,
    catalogue.ConversationInitializingError,
    catalogue.UnavailableError,
)
"""Errors of a change to a conversation, or to a resource in it, because of the conversation's state.

See docs/behaviour/states-and-timers.md#allowed-operations.
"""


@dataclass(frozen=True, slots=True)
class Contract:
    """What one route takes and returns.

    `resource` and the name of the handler make the operation id: `fetch` and `Conversation` make `fetchConversation`.
    """

    resource: str
    representation: type[Representation] | None
    """The body of one resource. None if a successful response has no body."""
    statuses: tuple[int, ...] = (200,)
    """The statuses of responses that are not errors."""
    service_representation: type[Representation] | None = None
    """The body under `/Services/{sid}`, if it differs from `representation`."""
    page: str | None = None
    """The key that holds the resources of a page. None if the response is one resource."""
    max_page_size: int = MAX_PAGE_SIZE
    query: type[Model] | None = None
    """The filters of a list."""
    form: type[Model] | None = None
    participants: bool = False
    """Whether the form also takes `Participant`: a repeated parameter, each value a JSON object."""
    request_headers: tuple[str, ...] = ()
    """The headers that the handler reads."""
    response_headers: tuple[str, ...] = ()
    """The headers that the handler may set."""
    errors: tuple[type[ConversationsError], ...] = ()
    """The errors of this route, without those that every route or form can raise."""
