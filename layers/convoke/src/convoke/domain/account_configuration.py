"""The account settings that exist only in Convoke: owned addresses and the error-log URL."""

from __future__ import annotations

from typing import Annotated

from pydantic import AfterValidator, BeforeValidator, WithJsonSchema

from convoke.domain.accounts import AccountChange
from convoke.domain.addresses import MAX_ADDRESS_CHARACTERS, channel_of
from convoke.domain.errors import InvalidParameterError
from convoke.domain.json_schema import string_schema
from convoke.domain.urls import MAX_URL_CHARACTERS
from convoke.domain.webhooks import URL_DESCRIPTION, check_url

MAX_OWNED_ADDRESSES = 1000

MAX_OWNED_ADDRESSES_BYTES = 256 * 1024
"""The maximum total size of an account's owned addresses in UTF-8.

The account's item contains all owned addresses, and DynamoDB limits an item to 400 KB.
"""


def parse_addresses(values: list[str]) -> list[str]:
    """Return the values of a form field, or an empty list if the only value is empty.

    Without this rule, a form could not express an empty list.
    """
    return [] if values == [""] else values


def check_owned_address(address: str) -> str:
    if channel_of(address) is None:
        raise InvalidParameterError(wanted="an address such as +15017122661 or whatsapp:+15017122661")
    return address


def check_addresses(addresses: tuple[str, ...]) -> tuple[str, ...]:
    """Return the addresses in sorted order and without duplicates.

    Raise an error if there are too many addresses, or if the total size of the addresses is too large.
    """
    if (
        len(addresses) > MAX_OWNED_ADDRESSES
        or sum(len(address.encode()) for address in addresses) > MAX_OWNED_ADDRESSES_BYTES
    ):
        raise InvalidParameterError(
            wanted=f"at most {MAX_OWNED_ADDRESSES} addresses and {MAX_OWNED_ADDRESSES_BYTES} bytes in total"
        )
    return tuple(sorted(set(addresses)))


OwnedAddresses = Annotated[
    tuple[Annotated[str, AfterValidator(check_owned_address)], ...],
    BeforeValidator(parse_addresses),
    AfterValidator(check_addresses),
    WithJsonSchema(
        {
            "type": "array",
            "maxItems": MAX_OWNED_ADDRESSES,
            "items": {"type": "string", "maxLength": MAX_ADDRESS_CHARACTERS},
            "description": "The proxy and projected addresses that the account may use. One empty value allows all.",
        }
    ),
]

ErrorLogUrl = Annotated[
    str,
    AfterValidator(check_url),
    string_schema(MAX_URL_CHARACTERS, description=f"The URL that alerts are posted to. {URL_DESCRIPTION}"),
]


class AccountConfigurationChange(AccountChange):
    """The parameters of a request that updates `/convoke/v1/Configuration`."""

    owned_addresses: OwnedAddresses = ()
    error_log_url: ErrorLogUrl | None = None
