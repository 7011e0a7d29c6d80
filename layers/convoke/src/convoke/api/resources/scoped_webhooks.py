"""`/Conversations/{sid}/Webhooks`: the webhooks of a conversation.

See docs/behaviour/scoped-webhooks.md.
"""

from __future__ import annotations

from urllib.parse import quote

from pydantic import ConfigDict

from convoke.api.contracts import Contract
from convoke.api.operations import Operations
from convoke.api.pagination import Pagination
from convoke.api.parameter_names import scoped_webhook_name
from convoke.api.parameters import parse
from convoke.api.representations import Representation, RestDate, add_service_sid, json_response, no_content
from convoke.api.requests import ServiceRequest
from convoke.api.responses import Response
from convoke.domain import errors
from convoke.domain.scoped_webhooks import (
    MAX_WEBHOOKS_PER_CONVERSATION,
    NewScopedWebhook,
    ScopedTarget,
    ScopedWebhook,
    ScopedWebhookChange,
)


class CreateScopedWebhook(NewScopedWebhook):
    model_config = ConfigDict(alias_generator=scoped_webhook_name)


class UpdateScopedWebhook(ScopedWebhookChange):
    model_config = ConfigDict(alias_generator=scoped_webhook_name)


class ScopedWebhookRepresentation(Representation):
    sid: str
    account_sid: str
    conversation_sid: str
    target: ScopedTarget
    url: str
    configuration: dict[str, str | list[str]]
    date_created: RestDate
    date_updated: RestDate


class ServiceScopedWebhookRepresentation(ScopedWebhookRepresentation):
    """The representation under `/Services/{sid}`, which also contains the service SID."""

    chat_service_sid: str


DELETE_REFUSED = (errors.ConversationBeingDeletedError, errors.InvalidWebhookSidError, errors.UnavailableError)

CREATE = Contract(
    "ScopedWebhook",
    ScopedWebhookRepresentation,
    service_representation=ServiceScopedWebhookRepresentation,
    statuses=(201,),
    form=CreateScopedWebhook,
    errors=(
        errors.ConversationBeingDeletedError,
        errors.ConversationClosedError,
        errors.TooManyWebhooksError,
        errors.UnavailableError,
        errors.WebhookFilterMissingError,
        errors.WebhookTriggerMissingError,
    ),
)
LIST = Contract(
    "ScopedWebhooks",
    ScopedWebhookRepresentation,
    service_representation=ServiceScopedWebhookRepresentation,
    page="webhooks",
    max_page_size=MAX_WEBHOOKS_PER_CONVERSATION,
)
FETCH = Contract(
    "ScopedWebhook",
    ScopedWebhookRepresentation,
    service_representation=ServiceScopedWebhookRepresentation,
    errors=(errors.InvalidWebhookSidError,),
)
UPDATE = Contract(
    "ScopedWebhook",
    ScopedWebhookRepresentation,
    service_representation=ServiceScopedWebhookRepresentation,
    form=UpdateScopedWebhook,
    errors=(*DELETE_REFUSED, errors.ConversationClosedError),
)
DELETE = Contract("ScopedWebhook", None, statuses=(204,), errors=DELETE_REFUSED)


def represent(request: ServiceRequest, webhook: ScopedWebhook) -> Representation:
    common = ScopedWebhookRepresentation(
        sid=webhook.sid,
        account_sid=webhook.account_sid,
        conversation_sid=webhook.conversation_sid,
        target=webhook.target,
        url=request.url(f"/Conversations/{webhook.conversation_sid}/Webhooks/{webhook.sid}"),
        configuration=webhook.configuration,
        date_created=webhook.date_created,
        date_updated=webhook.date_updated,
    )
    return add_service_sid(request, common, ServiceScopedWebhookRepresentation)


def create(operations: Operations, request: ServiceRequest, conversation_sid: str) -> Response:
    requested = parse(CreateScopedWebhook, request.form)
    created = operations.scoped_webhooks.create(request.service, conversation_sid, requested)
    return json_response(represent(request, created), status=201)


def fetch(operations: Operations, request: ServiceRequest, conversation_sid: str, sid: str) -> Response:
    return json_response(represent(request, operations.scoped_webhooks.fetch(request.service, conversation_sid, sid)))


def list_(operations: Operations, request: ServiceRequest, conversation_sid: str) -> Response:
    pagination = Pagination(
        request,
        request.url(f"/Conversations/{quote(conversation_sid, safe='')}/Webhooks"),
        "webhooks",
        operations.accounts.page_key(request.account.sid),
        # Unless the client asks for a smaller page, the first page contains all webhooks of the conversation.
        max_page_size=MAX_WEBHOOKS_PER_CONVERSATION,
    )
    page = operations.scoped_webhooks.list(request.service, conversation_sid, pagination.page_request)
    return json_response(pagination.body(page, lambda each: represent(request, each), lambda each: each.sid))


def update(operations: Operations, request: ServiceRequest, conversation_sid: str, sid: str) -> Response:
    requested = parse(UpdateScopedWebhook, request.form)
    updated = operations.scoped_webhooks.update(request.service, conversation_sid, sid, requested)
    return json_response(represent(request, updated))


def delete(operations: Operations, request: ServiceRequest, conversation_sid: str, sid: str) -> Response:
    operations.scoped_webhooks.delete(request.service, conversation_sid, sid)
    return no_content()
