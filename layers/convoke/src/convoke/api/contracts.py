"""Define contracts: which request a route accepts, and which responses the route can return.

Each module in `resources/` defines the contracts of its handlers. `openapi.py` generates the OpenAPI document from the
contracts. The tests check that every response obeys its contract.
"""

from __future__ import annotations

from convoke.api.pagination import MAX_PAGE_SIZE
from convoke.api.representations import Representation
from convoke.domain import errors as catalogue
from convoke.domain.errors import ConversationsError
from convoke.domain.model import Model
from convoke.lean_dataclass import lean_dataclass

CHANGE_REFUSED = (
    catalogue.ConversationBeingDeletedError,
    catalogue.ConversationClosedError,
    catalogue.ConversationInitializingError,
    catalogue.UnavailableError,
)
"""Errors of the routes that update a conversation, or that create, update or delete a participant or a message.

Most of these errors mean that the conversation's state does not allow the change. See
docs/behaviour/states-and-timers.md#allowed-operations.
"""


@lean_dataclass
class Contract:
    """The accepted request and the possible responses of one route.

    In the OpenAPI document, the operation id consists of the handler's name and `resource`, such as
    `fetchConversation`. Under `/Services/{sid}`, the id is `fetchServiceConversation`.
    """

    resource: str
    representation: type[Representation] | None
    """The model of one resource in a response body. None if a successful response has no JSON body."""
    statuses: tuple[int, ...] = (200,)
    """The statuses of successful responses."""
    service_representation: type[Representation] | None = None
    """The model that replaces `representation` under `/Services/{sid}`. None if `representation` is used there too."""
    page: str | None = None
    """The key under which a page contains its resources. None if the response is not a page."""
    array: bool = False
    """Whether the response is a JSON array of resources."""
    rest_page: bool = False
    """Whether a page has the format of Twilio's API `2010-04-01`. See `RestPagination`."""
    max_page_size: int = MAX_PAGE_SIZE
    query: type[Model] | None = None
    """The model of the query parameters, such as the filters of a list."""
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
    """The errors of this route.

    `openapi.py` adds the errors of `form` and `query`, and errors that many routes share.
    """
