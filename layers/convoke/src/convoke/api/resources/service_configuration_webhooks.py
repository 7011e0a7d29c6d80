"""`/v1/Services/{sid}/Configuration/Webhooks`: the webhooks of a service.

See docs/behaviour/configuration-webhooks.md#service-webhooks.
"""

from __future__ import annotations

from convoke.api.contracts import Contract
from convoke.api.operations import Operations
from convoke.api.parameters import FORM_NAMES, parse
from convoke.api.representations import Representation, json_response
from convoke.api.requests import Request
from convoke.api.responses import Response
from convoke.domain import errors
from convoke.domain.events import EventType
from convoke.domain.service_configuration_webhooks import (
    ServiceConfigurationWebhooks,
    ServiceConfigurationWebhooksChange,
)
from convoke.domain.webhooks import Method


class UpdateServiceConfigurationWebhooks(ServiceConfigurationWebhooksChange):
    model_config = FORM_NAMES


class ServiceConfigurationWebhooksRepresentation(Representation):
    account_sid: str
    chat_service_sid: str
    pre_webhook_url: str | None
    post_webhook_url: str | None
    filters: list[EventType] | None
    method: Method | None
    url: str


FETCH = Contract("ConfigurationWebhooks", ServiceConfigurationWebhooksRepresentation)
UPDATE = Contract(
    "ConfigurationWebhooks",
    ServiceConfigurationWebhooksRepresentation,
    form=UpdateServiceConfigurationWebhooks,
    errors=(errors.InvalidWebhookSettingsError, errors.InvalidWebhookMethodError),
)


def represent(
    request: Request, configuration: ServiceConfigurationWebhooks
) -> ServiceConfigurationWebhooksRepresentation:
    filters = configuration.filters
    return ServiceConfigurationWebhooksRepresentation(
        account_sid=configuration.account_sid,
        chat_service_sid=configuration.chat_service_sid,
        pre_webhook_url=configuration.pre_webhook_url,
        post_webhook_url=configuration.post_webhook_url,
        filters=None if filters is None else list(filters),
        method=configuration.method,
        url=request.url(f"/Services/{configuration.chat_service_sid}/Configuration/Webhooks"),
    )


def fetch(operations: Operations, request: Request, chat_service_sid: str) -> Response:
    service = operations.services.fetch(request.account.sid, chat_service_sid)
    return json_response(
        represent(request, operations.service_configuration_webhooks.fetch(request.account.sid, service.sid))
    )


def update(operations: Operations, request: Request, chat_service_sid: str) -> Response:
    service = operations.services.fetch(request.account.sid, chat_service_sid)
    change = parse(UpdateServiceConfigurationWebhooks, request.form)
    updated = operations.service_configuration_webhooks.update(request.account.sid, service.sid, change)
    return json_response(represent(request, updated))
