"""`/v1/Configuration/Webhooks`: the webhooks of the account.

See docs/behaviour/configuration-webhooks.md#account-webhooks.
"""

from __future__ import annotations

from convoke.api.contracts import Contract
from convoke.api.operations import Operations
from convoke.api.parameters import FORM_NAMES, parse
from convoke.api.representations import Representation, json_response
from convoke.api.requests import Request
from convoke.api.responses import Response
from convoke.domain import errors
from convoke.domain.configuration_webhooks import ConfigurationWebhooks, ConfigurationWebhooksChange, Target
from convoke.domain.events import EventType
from convoke.domain.webhooks import Method


class UpdateConfigurationWebhooks(ConfigurationWebhooksChange):
    model_config = FORM_NAMES


class ConfigurationWebhooksRepresentation(Representation):
    account_sid: str
    method: Method
    filters: list[EventType] | None
    pre_webhook_url: str | None
    post_webhook_url: str | None
    target: Target
    url: str


FETCH = Contract("ConfigurationWebhooks", ConfigurationWebhooksRepresentation)
UPDATE = Contract(
    "ConfigurationWebhooks",
    ConfigurationWebhooksRepresentation,
    form=UpdateConfigurationWebhooks,
    errors=(errors.InvalidWebhookSettingsError, errors.InvalidWebhookMethodError),
)


def represent(request: Request, configuration: ConfigurationWebhooks) -> ConfigurationWebhooksRepresentation:
    filters = configuration.filters
    return ConfigurationWebhooksRepresentation(
        account_sid=configuration.account_sid,
        method=configuration.method,
        filters=None if filters is None else list(filters),
        pre_webhook_url=configuration.pre_webhook_url,
        post_webhook_url=configuration.post_webhook_url,
        target=configuration.target,
        url=request.url("/Configuration/Webhooks"),
    )


def fetch(operations: Operations, request: Request) -> Response:
    return json_response(represent(request, operations.configuration_webhooks.fetch(request.account.sid)))


def update(operations: Operations, request: Request) -> Response:
    change = parse(UpdateConfigurationWebhooks, request.form)
    return json_response(represent(request, operations.configuration_webhooks.update(request.account.sid, change)))
