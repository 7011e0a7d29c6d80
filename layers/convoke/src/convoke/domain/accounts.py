"""Accounts: whom everything belongs to."""

from __future__ import annotations

from datetime import timedelta
from typing import Annotated, ClassVar

from pydantic import AfterValidator, BeforeValidator

from convoke.domain.addresses import channel_of
from convoke.domain.conversations import (
    Timers,
    check_messaging_service_sid,
    parse_closed_timer,
    parse_inactive_timer,
)
from convoke.domain.errors import (
    ClosedTimerTooShortError,
    ConversationsError,
    InactiveTimerTooShortError,
    InvalidClosedTimerError,
    InvalidInactiveTimerError,
    InvalidMessagingServiceSidError,
    InvalidParameterError,
    InvalidSidError,
)
from convoke.domain.instants import Instant
from convoke.domain.model import Model
from convoke.domain.sids import Prefix, parse_sid
from convoke.domain.webhooks import check_url

MAX_OWNED_ADDRESSES = 1000

MAX_OWNED_ADDRESSES_BYTES = 256 * 1024
"""Bytes. An account is one item, which DynamoDB takes up to 400 KB of."""


class Account(Model):
    """An account with the defaults that its short paths act on (reference, a.7). Its Auth Token is kept apart."""

    sid: str
    date_created: Instant
    default_chat_service_sid: str
    default_messaging_service_sid: str | None = None
    default_inactive_timer: timedelta = timedelta(0)
    default_closed_timer: timedelta = timedelta(0)
    owned_addresses: frozenset[str] = frozenset()
    """The proxy and projected addresses that it may use; if there are none, every well-formed one (reference, b.2)."""
    error_log_url: str | None = None
    """Where alerts are posted to (reference, h 13)."""

    @property
    def default_timers(self) -> Timers:
        """Of a new conversation, where its request says nothing else (reference, e.3)."""
        return Timers(inactive=self.default_inactive_timer, closed=self.default_closed_timer)

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
    if (
        len(addresses) > MAX_OWNED_ADDRESSES
        or sum(len(address.encode()) for address in addresses) > MAX_OWNED_ADDRESSES_BYTES
    ):
        raise InvalidParameterError(
            wanted=f"at most {MAX_OWNED_ADDRESSES} addresses and {MAX_OWNED_ADDRESSES_BYTES} bytes in total"
        )
    return tuple(sorted(set(addresses)))


class AccountChange(Model):
    """What an update asks for; a field that was not given stays as it is (look at `model_fields_set`)."""


class AccountConfigurationChange(AccountChange):
    """Of what no API of Twilio's holds."""

    owned_addresses: Annotated[
        tuple[Annotated[str, AfterValidator(check_owned_address)], ...],
        BeforeValidator(parse_addresses),
        AfterValidator(check_addresses),
    ] = ()
    error_log_url: Annotated[str, AfterValidator(check_url)] | None = None


def check_service_sid(text: str) -> str:
    sid = parse_sid(text, Prefix.SERVICE)
    if sid is None:
        raise InvalidSidError
    return sid


def unknown_default_service() -> ConversationsError:
    return InvalidParameterError(parameter="DefaultChatServiceSid", wanted="the SID of a service of this account")


class ConfigurationChange(AccountChange):
    """Of what new conversations get, and of the service that the short paths act on (reference, a.7)."""

    order_of_checks: ClassVar[tuple[type[ConversationsError], ...]] = (
        InvalidSidError,
        InvalidMessagingServiceSidError,
        InvalidInactiveTimerError,
        InvalidClosedTimerError,
        InactiveTimerTooShortError,
        ClosedTimerTooShortError,
    )

    default_chat_service_sid: Annotated[str, AfterValidator(check_service_sid)] | None = None
    default_messaging_service_sid: Annotated[str, AfterValidator(check_messaging_service_sid)] | None = None
    default_inactive_timer: Annotated[timedelta, BeforeValidator(parse_inactive_timer)] = timedelta(0)
    default_closed_timer: Annotated[timedelta, BeforeValidator(parse_closed_timer)] = timedelta(0)
