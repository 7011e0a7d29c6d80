"""The contract of a route: the request that the route accepts, and the responses that the route can return.

Each module in `resources/` defines the contracts of its handlers. `openapi.py` generates the OpenAPI document from the
contracts. The tests check every response against its contract.
"""

from __future__ import annotations

from dataclasses import dataclass

from convoke.api.pagination import MAX_PAGE_SIZE
from convoke.api.representations import Representation
from convoke.domain import errors as catalogue
from convoke.domain.errors import ConversationsError
from convoke.domain.model import Model

CHANGE_REFUSED = (
    catalogue.ConversationBeingDeletedError,
    catalogue.ConversationClosedError,
    catalogue.ConversationInitializingError,
    catalogue.UnavailableError,
)
"""The errors that a route can return if the route changes a conversation, a participant or a message.

Most of these errors mean that the state of the conversation does not allow the change. See
docs/behaviour/states-and-timers.md#allowed-operations.
"""


@dataclass(frozen=True, slots=True)
class Contract:
    """The accepted request and the possible responses of one route.

    The OpenAPI operation id is the name of the handler followed by `resource`, for example `fetchConversation`.
    """

    resource: str
    representation: type[Representation] | None
    """The model of the response body for one resource. None if a successful response has no body."""
    statuses: tuple[int, ...] = (200,)
    """The statuses of responses that are not errors."""
    service_representation: type[Representation] | None = None
    """The model of the response body under `/Services/{sid}`. None if the model is the same as `representation`."""
    page: str | None = None
    """The key of the resources in the body of a page. None if the response is a single resource."""
    array: bool = False
    """Whether the response is a JSON array of resources."""
    rest_page: bool = False
    """Whether the body of a page has the form of Twilio's oldest API. See `RestPagination`."""
    max_page_size: int = MAX_PAGE_SIZE
    query: type[Model] | None = None
    """The model of the query parameters that filter a list."""
    form: type[Model] | None = None
    """The model of the form parameters."""
    json: type[Model] | None = None
    """The model of the request body, if the body is JSON."""
    uploads: bool = False
    """Whether the request body is the content of a file."""
    downloads: bool = False
    """Whether the response body is the content of a file."""
    participants: bool = False
    """Whether the form also accepts the repeated parameter `Participant`. Each value is a JSON object."""
    request_headers: tuple[str, ...] = ()
    """The request headers that the handler reads."""
    response_headers: tuple[str, ...] = ()
    """The response headers that the handler can set."""
    errors: tuple[type[ConversationsError], ...] = ()
    """The errors of this route. `openapi.py` adds the errors of `form` and `query`, and the errors of many routes."""
