"""Accounts: whom everything belongs to."""

from __future__ import annotations

from typing import Annotated

from pydantic import AfterValidator, BeforeValidator

from convoke.domain.addresses import channel_of
from convoke.domain.errors import InvalidParameterError
from convoke.domain.instants import Instant
from convoke.domain.model import Model

MOST_ADDRESSES = 1000

LONGEST_LIST = 256 * 1024
"""Bytes. An account is one item, which DynamoDB takes up to 400 KB of."""


class Account(Model):
    """An account with the defaults that its short paths act on (reference, a.7). Its Auth Token is kept apart."""

    sid: str
    date_created: Instant
    default_chat_service_sid: str
    default_messaging_service_sid: str | None = None
    owned_addresses: frozenset[str] = frozenset()
    """The proxy and projected addresses that it may use; if there are none, every well-formed one (reference, b.2)."""

    def owns(self, address: str) -> bool:
        return not self.owned_addresses or address in self.owned_addresses


def parse_addresses(values: list[str]) -> list[str]:
    """One empty value is the empty list: a form has no other way to say so."""
    return [] if values == [""] else values


def check_owned_address(address: str) -> str:
    if channel_of(address) is None:
        raise InvalidParameterError(wanted="an address such as +15017122661 or whatsapp:+15017122661")
    return address


def check_addresses(addresses: tuple[str, ...]) -> tuple[str, ...]:
    """Each once, in their order."""
    if len(addresses) > MOST_ADDRESSES or sum(len(address.encode()) for address in addresses) > LONGEST_LIST:
        raise InvalidParameterError(wanted=f"at most {MOST_ADDRESSES} addresses of {LONGEST_LIST} bytes in all")
    return tuple(sorted(set(addresses)))


class AccountChange(Model):
    """What an update asks for; a field that was not given stays as it is (look at `model_fields_set`)."""

    owned_addresses: Annotated[
        tuple[Annotated[str, AfterValidator(check_owned_address)], ...],
        BeforeValidator(parse_addresses),
        AfterValidator(check_addresses),
    ] = ()
