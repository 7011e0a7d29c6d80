"""`/Conversations`: the conversations of a service.

See docs/behaviour/conversations.md.
"""

from __future__ import annotations

from convoke.api.contracts import CHANGE_REFUSED, Contract
from convoke.api.idempotency import IDEMPOTENT_REPLAYED, parse_idempotency_key
from convoke.api.operations import Operations
from convoke.api.pagination import Pagination
from convoke.api.parameters import FORM_NAMES, parse, parse_query
from convoke.api.representations import Representation, RestDate, json_response, no_content
from convoke.api.requests import WEBHOOK_ENABLED, ServiceRequest
from convoke.api.responses import Response
from convoke.domain import errors
from convoke.domain.conversation_filters import ConversationFilters
from convoke.domain.conversations import Conversation, ConversationChange, EmailBinding, NewConversation, State
from convoke.domain.idempotency import IDEMPOTENCY_KEY
from convoke.domain.instants import to_seconds


class CreateConversation(NewConversation):
    model_config = FORM_NAMES


class UpdateConversation(ConversationChange):
    model_config = FORM_NAMES


class ListConversations(ConversationFilters):
    model_config = FORM_NAMES


LINKS = {"participants": "Participants", "messages": "Messages", "webhooks": "Webhooks"}
"""Maps the name of each link, except `export`, to the path that follows the conversation's URL."""


class ConversationRepresentation(Representation):
    sid: str
    account_sid: str
    chat_service_sid: str
    messaging_service_sid: str | None
    friendly_name: str | None
    unique_name: str | None
    attributes: str
    date_created: RestDate
    date_updated: RestDate
    state: State
    timers: dict[str, str]
    bindings: dict[str, EmailBinding]
    url: str
    links: dict[str, str | None]
    """The link `export` is null or missing. See docs/behaviour/conversations.md#fields."""


CREATE = Contract(
    "Conversation",
    ConversationRepresentation,
    statuses=(201,),
    form=CreateConversation,
    request_headers=(WEBHOOK_ENABLED, IDEMPOTENCY_KEY),
    response_headers=(IDEMPOTENT_REPLAYED,),
    errors=(errors.UniqueNameTakenError, errors.IdempotencyKeyReusedError),
)
LIST = Contract("Conversations", ConversationRepresentation, page="conversations", query=ListConversations)
FETCH = Contract("Conversation", ConversationRepresentation)
UPDATE = Contract(
    "Conversation",
    ConversationRepresentation,
    form=UpdateConversation,
    request_headers=(WEBHOOK_ENABLED,),
    errors=(*CHANGE_REFUSED, errors.UniqueNameTakenError),
)
DELETE = Contract(
    "Conversation", None, statuses=(204,), request_headers=(WEBHOOK_ENABLED,), errors=(errors.UnavailableError,)
)


def represent(
    request: ServiceRequest, conversation: Conversation, *, with_export: bool = True
) -> ConversationRepresentation:
    """Return the representation of a conversation. If `with_export` is False, the links do not include `export`."""
    url = request.url(f"/Conversations/{conversation.sid}")
    return ConversationRepresentation(
        sid=conversation.sid,
        account_sid=conversation.account_sid,
        chat_service_sid=conversation.chat_service_sid,
        messaging_service_sid=conversation.messaging_service_sid,
        friendly_name=conversation.friendly_name,
        unique_name=conversation.unique_name,
        attributes=conversation.attributes,
        date_created=conversation.date_created,
        date_updated=conversation.date_updated,
        state=conversation.state,
        timers=timers(conversation),
        bindings={"email": conversation.email} if conversation.email else {},
        url=url,
        links={
            **{name: f"{url}/{path}" for name, path in LINKS.items()},
            **({"export": None} if with_export else {}),
        },
    )


def create(operations: Operations, request: ServiceRequest) -> Response:
    """Create a conversation, as `POST /ConversationWithParticipants` does without participants."""
    request_webhooks, idempotent_request = operations.request_webhooks(request), parse_idempotency_key(request)
    created = operations.conversation_with_participants.create(
        request.account,
        request.service,
        parse(CreateConversation, request.form),
        (),
        request_webhooks=request_webhooks,
        idempotent=idempotent_request,
    )
    headers = {IDEMPOTENT_REPLAYED: "true"} if created.repeated else {}
    return json_response(represent(request, created.conversation), status=201, headers=headers)


def fetch(operations: Operations, request: ServiceRequest, sid: str) -> Response:
    return json_response(represent(request, operations.conversations.fetch(request.service, sid)))


def list_(operations: Operations, request: ServiceRequest) -> Response:
    filters, sent = parse_query(ListConversations, request.query_form)
    key = operations.accounts.page_key(request.account.sid)
    pagination = Pagination(
        request, request.url("/Conversations"), "conversations", key, filters=sent, descending=filters.newest_first
    )
    page = operations.conversations.list(request.service, filters, pagination.page_request)
    return json_response(pagination.body(page, lambda each: represent(request, each), lambda each: each.sid))


def update(operations: Operations, request: ServiceRequest, sid: str) -> Response:
    # Parse the header before the form. If both are invalid, the response must report the error in the header. See
    # docs/behaviour/requests-and-answers.md#order-of-checks.
    request_webhooks, requested = operations.request_webhooks(request), parse(UpdateConversation, request.form)
    updated = operations.conversations.update(request.service, sid, requested, request_webhooks=request_webhooks)
    return json_response(represent(request, updated))


def delete(operations: Operations, request: ServiceRequest, sid: str) -> Response:
    operations.conversations.delete(request.service, sid, request_webhooks=operations.request_webhooks(request))
    return no_content()


def timers(conversation: Conversation) -> dict[str, str]:
    """Return when each running timer ends. The keys are the field names of the response.

    See docs/behaviour/states-and-timers.md#timers.
    """
    ends = {"date_inactive": conversation.date_inactive, "date_closed": conversation.date_closed}
    return {name: to_seconds(end) for name, end in ends.items() if end}
