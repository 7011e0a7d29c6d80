"""Configuration of the account under `/convoke`: what no API of Twilio's holds."""

from __future__ import annotations

from aws_lambda_powertools.event_handler import Response

from convoke.api.contracts import Contract
from convoke.api.operations import Operations
from convoke.api.parameters import UpdateAccountConfiguration, parse
from convoke.api.representations import Representation, answer
from convoke.api.requests import CONVOKE_PREFIX, Request
from convoke.domain import errors
from convoke.domain.accounts import Account


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


def fetch(_: Operations, request: Request) -> Response[str]:
    """What requests are held to in this process, which others know some seconds later."""
    return answer(represent(request, request.account))


def update(operations: Operations, request: Request) -> Response[str]:
    change = parse(UpdateAccountConfiguration, request.form)
    return answer(represent(request, operations.account_configuration.update(request.account, change)))
