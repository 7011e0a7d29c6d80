"""What a route takes and answers, as the description of the API tells it (`openapi.py`).

Each stands beside the handler that it is about. Every answer that the tests get is held against it.
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
"""Why a conversation takes no change, of itself or of what belongs to it (reference, e.2)."""


@dataclass(frozen=True, slots=True)
class Contract:
    """`resource` makes the id of the operation, with the name of the handler: `fetchConversation`."""

    resource: str
    representation: type[Representation] | None
    """Of one resource; None where no answer but a refusal has a body."""
    statuses: tuple[int, ...] = (200,)
    """All but those of refusals."""
    in_service: type[Representation] | None = None
    """Of one resource in the service tree, where it is another one there."""
    page: str | None = None
    """The key of the resources in a page of them; None where the answer is one resource."""
    max_page_size: int = MAX_PAGE_SIZE
    query: type[Model] | None = None
    """The filters of a list."""
    form: type[Model] | None = None
    participants: bool = False
    """Whether the form takes `Participant` too, repeated, each value a JSON object."""
    headers: tuple[str, ...] = ()
    """That a request may have."""
    answered_headers: tuple[str, ...] = ()
    """That an answer may have."""
    errors: tuple[type[ConversationsError], ...] = ()
    """What it is refused for, beside what every request can be."""
