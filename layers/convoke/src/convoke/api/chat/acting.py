"""Helper functions for the handlers of the chat API: identify the user, send pre-events, and build URLs."""

from __future__ import annotations

from convoke.api.chat.requests import ChatRequest
from convoke.api.operations import Operations
from convoke.domain.conversations import Conversation
from convoke.domain.events import Origin, Source
from convoke.domain.principals import Principal
from convoke.operations.principals import PrincipalOperations
from convoke.operations.request_webhooks import CheckedWebhooks, RequestWebhooks
from convoke.operations.sync import SyncOperations
from convoke.storage.sync import SyncRepository

CHAT_PREFIX = "/Client/v2"


def principal_of(operations: Operations, request: ChatRequest) -> Principal:
    """Return the user who sends a request that does not belong to a conversation.

    Raise InvalidAccessTokenError if the User does not exist.
    """
    return _principals(operations).in_service(request.service, request.identity)


def enter(operations: Operations, request: ChatRequest, conversation_sid: str) -> tuple[Conversation, Principal]:
    """Return a conversation and the user who sends the request.

    Raise NotFoundError if the conversation does not exist or is in the state `initializing`. Raise
    InvalidAccessTokenError if the User does not exist. `conversation_sid` is the SID or the unique name of the
    conversation. This function does not check permissions. Before the handler returns any data of the conversation, the
    handler must check the user's permissions.
    """
    return _principals(operations).in_conversation(request.service, request.identity, conversation_sid)


def request_webhooks(operations: Operations, request: ChatRequest) -> RequestWebhooks:
    """Return the object that sends the pre-event of a request that does not belong to a conversation.

    The object always sends the pre-event to the configured webhook, because a chat client cannot turn off webhooks.
    """
    return RequestWebhooks(operations.send_pre_event, _origin(request))


def checked_webhooks(
    operations: Operations, request: ChatRequest, conversation: Conversation, principal: Principal
) -> RequestWebhooks:
    """Return the object that sends the pre-event of a change in a conversation.

    If optimistic locking fails, the operation runs again. In each repetition, the object raises an error if the
    permissions of the user differ from the permissions of `principal`.
    """

    def check() -> None:
        _, later = enter(operations, request, conversation.sid)
        principal.check_same_permissions(later)

    return CheckedWebhooks(operations.send_pre_event, _origin(request), check)


def _origin(request: ChatRequest) -> Origin:
    return Origin(notify_webhooks=True, source=Source.SDK, client_identity=request.identity)


def sync_of(operations: Operations) -> SyncOperations:
    """Create the operations on Sync objects.

    `Operations` does not contain these operations, because only the chat API needs them.
    """
    table = operations.conversations.conversations.table
    return SyncOperations(SyncRepository(table), _principals(operations), operations.users, operations.users.now)


def service_path(request: ChatRequest, path: str) -> str:
    """Return the path of a resource in the user's service. `path` is the part after the service SID."""
    return f"{CHAT_PREFIX}/Services/{request.service.sid}{path}"


def service_url(request: ChatRequest, path: str) -> str:
    """Return the absolute URL of a resource in the user's service. Clients call this URL through their WebSocket."""
    return f"{request.base_url}{service_path(request, path)}"


def _principals(operations: Operations) -> PrincipalOperations:
    return PrincipalOperations(
        operations.users.users,
        operations.conversations,
        operations.participants.participants,
        operations.roles.roles,
    )
