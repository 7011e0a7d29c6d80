"""`/v1/Configuration`: the default service of the account, and the defaults of new conversations.

See docs/behaviour/configuration.md#account-configuration.
"""

from __future__ import annotations

from datetime import timedelta

from convoke.api.contracts import Contract
from convoke.api.operations import Operations
from convoke.api.parameters import FORM_NAMES, parse
from convoke.api.representations import Representation, json_response
from convoke.api.requests import Request
from convoke.api.responses import Response
from convoke.domain.accounts import Account
from convoke.domain.configuration import ConfigurationChange
from convoke.domain.durations import format_duration


class UpdateConfiguration(ConfigurationChange):
    model_config = FORM_NAMES


class ConfigurationRepresentation(Representation):
    account_sid: str
    default_chat_service_sid: str
    default_messaging_service_sid: str | None
    default_inactive_timer: str | None
    default_closed_timer: str | None
    url: str
    links: dict[str, str]


FETCH = Contract("Configuration", ConfigurationRepresentation)
UPDATE = Contract("Configuration", ConfigurationRepresentation, form=UpdateConfiguration)


def represent(request: Request, account: Account) -> ConfigurationRepresentation:
    url = request.url("/Configuration")
    return ConfigurationRepresentation(
        account_sid=account.sid,
        default_chat_service_sid=account.default_chat_service_sid,
        default_messaging_service_sid=account.default_messaging_service_sid,
        default_inactive_timer=_timer(account.default_inactive_timer),
        default_closed_timer=_timer(account.default_closed_timer),
        url=url,
        links={
            "service": request.url(f"/Services/{account.default_chat_service_sid}/Configuration"),
            "webhooks": f"{url}/Webhooks",
        },
    )


def fetch(_: Operations, request: Request) -> Response:
    """Return the account's configuration.

    The configuration comes from the cache of this process. If another process updates the configuration, the cache
    contains the old values for a few seconds.
    """
    return json_response(represent(request, request.account))


def update(operations: Operations, request: Request) -> Response:
    change = parse(UpdateConfiguration, request.form)
    return json_response(represent(request, operations.configuration.update(request.account, change)))


def _timer(length: timedelta) -> str | None:
    """Format the length of a timer as an ISO 8601 duration. Return None if the timer is off."""
    return format_duration(length) if length else None
