"""`/convoke/v1/Configuration`: the settings of the account that do not exist in Twilio's API.

See docs/behaviour/configuration.md.
"""

from __future__ import annotations

from convoke.api.contracts import Contract
from convoke.api.operations import Operations
from convoke.api.parameters import FORM_NAMES, parse
from convoke.api.representations import Representation, json_response
from convoke.api.requests import CONVOKE_PREFIX, Request
from convoke.api.responses import Response
from convoke.domain import errors
from convoke.domain.account_configuration import AccountConfigurationChange
from convoke.domain.accounts import Account


class UpdateAccountConfiguration(AccountConfigurationChange):
    model_config = FORM_NAMES


class AccountConfigurationRepresentation(Representation):
    account_sid: str
    owned_addresses: list[str]
    error_log_url: str | None
    url: str


FETCH = Contract("AccountConfiguration", AccountConfigurationRepresentation)
UPDATE = Contract(
    "AccountConfiguration",
    AccountConfigurationRepresentation,
    form=UpdateAccountConfiguration,
    errors=(errors.InvalidWebhookSettingsError,),
)


def represent(request: Request, account: Account) -> AccountConfigurationRepresentation:
    return AccountConfigurationRepresentation(
        account_sid=account.sid,
        owned_addresses=sorted(account.owned_addresses),
        error_log_url=account.error_log_url,
        url=request.url("/Configuration", CONVOKE_PREFIX),
    )


def fetch(_: Operations, request: Request) -> Response:
    """Return the account's configuration.

    The configuration comes from the cache of this process. If another process updates the configuration, the cache
    contains the old values for a few seconds.
    """
    return json_response(represent(request, request.account))


def update(operations: Operations, request: Request) -> Response:
    change = parse(UpdateAccountConfiguration, request.form)
    return json_response(represent(request, operations.account_configuration.update(request.account, change)))
