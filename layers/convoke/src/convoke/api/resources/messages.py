"""`/Conversations/{sid}/Messages`: the messages of a conversation.

See docs/behaviour/messages.md.
"""

from __future__ import annotations

from urllib.parse import quote

from convoke.api.contracts import CHANGE_REFUSED, Contract
from convoke.api.operations import Operations
from convoke.api.pagination import Pagination
from convoke.api.parameters import FORM_NAMES, parse, parse_query
from convoke.api.representations import Representation, RestDate, add_service_sid, json_response, no_content
from convoke.api.requests import WEBHOOK_ENABLED, ServiceRequest
from convoke.api.responses import Response
from convoke.domain import errors
from convoke.domain.messages import Message, MessageChange, MessageFilters, NewMessage
from convoke.domain.pages import Order
from convoke.domain.receipts import DeliverySummary


class ListMessages(MessageFilters):
    model_config = FORM_NAMES


class CreateMessage(NewMessage):
    model_config = FORM_NAMES


class UpdateMessage(MessageChange):
    model_config = FORM_NAMES


class MessageMediaRepresentation(Representation):
    """A media of a message. If an early version of Convoke stored the message, all values except the SID are null."""

    sid: str
    size: int | None
    content_type: str | None
    filename: str | None
    category: str | None


class MessageRepresentation(Representation):
    account_sid: str
    conversation_sid: str
    sid: str
    index: int
    author: str
    body: str | None
    media: list[MessageMediaRepresentation] | None
    attributes: str
    participant_sid: str | None
    date_created: RestDate
    date_updated: RestDate
    url: str
    delivery: DeliverySummary | None
    links: dict[str, str | None]
    """The link `channel_metadata` is always null. See docs/behaviour/messages.md#fields."""
    content_sid: str | None


class ServiceMessageRepresentation(MessageRepresentation):
    """The representation under `/Services/{sid}`, which also contains the service SID."""

    chat_service_sid: str


CREATE = Contract(
    "Message",
    MessageRepresentation,
    service_representation=ServiceMessageRepresentation,
    statuses=(201,),
    form=CreateMessage,
    request_headers=(WEBHOOK_ENABLED,),
    errors=(
        *CHANGE_REFUSED,
        errors.AuthorNotInGroupError,
        errors.MessageEmptyError,
        errors.MediaNotFoundError,
        errors.MediaAlreadyUsedError,
        errors.MediaTypeNotAcceptableError,
        errors.MediaTooLargeError,
    ),
)
LIST = Contract(
    "Messages",
    MessageRepresentation,
    service_representation=ServiceMessageRepresentation,
    page="messages",
    query=ListMessages,
)
FETCH = Contract("Message", MessageRepresentation, service_representation=ServiceMessageRepresentation)
UPDATE = Contract(
    "Message",
    MessageRepresentation,
    service_representation=ServiceMessageRepresentation,
    form=UpdateMessage,
    request_headers=(WEBHOOK_ENABLED,),
    errors=(
        *CHANGE_REFUSED,
        errors.AuthorNotInGroupError,
        errors.MediaMessageBodyFixedError,
        errors.MessageEmptyError,
    ),
)
DELETE = Contract("Message", None, statuses=(204,), request_headers=(WEBHOOK_ENABLED,), errors=CHANGE_REFUSED)


def represent(request: ServiceRequest, message: Message) -> Representation:
    url = request.url(f"/Conversations/{message.conversation_sid}/Messages/{message.sid}")
    common = MessageRepresentation(
        account_sid=message.account_sid,
        conversation_sid=message.conversation_sid,
        sid=message.sid,
        index=message.index,
        author=message.author,
        body=message.body,
        media=[MessageMediaRepresentation(**each.model_dump()) for each in message.media] or None,
        attributes=message.attributes,
        participant_sid=message.participant_sid,
        date_created=message.date_created,
        date_updated=message.date_updated,
        url=url,
        delivery=message.delivery,
        links={"delivery_receipts": f"{url}/Receipts", "channel_metadata": None},
        content_sid=message.content_sid,
    )
    return add_service_sid(request, common, ServiceMessageRepresentation)


def create(operations: Operations, request: ServiceRequest, conversation_sid: str) -> Response:
    request_webhooks, requested = operations.request_webhooks(request), parse(CreateMessage, request.form)
    created = operations.messages.create(
        request.service, conversation_sid, requested, request_webhooks=request_webhooks
    )
    return json_response(represent(request, created), status=201)


def fetch(operations: Operations, request: ServiceRequest, conversation_sid: str, sid: str) -> Response:
    return json_response(represent(request, operations.messages.fetch(request.service, conversation_sid, sid)))


def list_(operations: Operations, request: ServiceRequest, conversation_sid: str) -> Response:
    filters, sent = parse_query(ListMessages, request.query_form)
    pagination = Pagination(
        request,
        request.url(f"/Conversations/{quote(conversation_sid, safe='')}/Messages"),
        "messages",
        operations.accounts.page_key(request.account.sid),
        # The client can write `DESC` or `desc`. Use the parsed order, so that a page token is valid for both spellings.
        filters=dict.fromkeys(sent, filters.order),
        descending=filters.order is Order.DESCENDING,
    )
    page = operations.messages.list(request.service, conversation_sid, pagination.page_request)
    return json_response(pagination.body(page, lambda each: represent(request, each), lambda each: each.sid))


def update(operations: Operations, request: ServiceRequest, conversation_sid: str, sid: str) -> Response:
    request_webhooks, requested = operations.request_webhooks(request), parse(UpdateMessage, request.form)
    updated = operations.messages.update(
        request.service, conversation_sid, sid, requested, request_webhooks=request_webhooks
    )
    return json_response(represent(request, updated))


def delete(operations: Operations, request: ServiceRequest, conversation_sid: str, sid: str) -> Response:
    operations.messages.delete(
        request.service, conversation_sid, sid, request_webhooks=operations.request_webhooks(request)
    )
    return no_content()
