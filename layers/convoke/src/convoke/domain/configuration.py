"""The account settings of `/v1/Configuration`, as at Twilio: the default service, and defaults for new conversations.

account_configuration.py has the settings that exist only in Convoke.

See docs/behaviour/configuration.md#account-configuration.
"""

from __future__ import annotations

from datetime import timedelta
from typing import Annotated, ClassVar

from pydantic import AfterValidator

from convoke.domain.accounts import AccountChange
from convoke.domain.conversations import MessagingServiceSid
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
from convoke.domain.json_schema import sid_schema
from convoke.domain.sids import Prefix, parse_sid
from convoke.domain.timers import ClosedTimer, InactiveTimer


def check_service_sid(text: str) -> str:
    sid = parse_sid(text, Prefix.SERVICE)
    if sid is None:
        raise InvalidSidError
    return sid


ServiceSid = Annotated[str, AfterValidator(check_service_sid), sid_schema(Prefix.SERVICE)]


def unknown_default_service() -> ConversationsError:
    """Return the error for a default service that does not exist in the account."""
    return InvalidParameterError(field="default_chat_service_sid", wanted="the SID of a service of this account")


class ConfigurationChange(AccountChange):
    """The parameters of a request that updates `/v1/Configuration`."""

    order_of_checks: ClassVar[tuple[type[ConversationsError], ...]] = (
        InvalidSidError,
        InvalidMessagingServiceSidError,
        InvalidInactiveTimerError,
        InvalidClosedTimerError,
        InactiveTimerTooShortError,
        ClosedTimerTooShortError,
    )

    default_chat_service_sid: ServiceSid | None = None
    default_messaging_service_sid: MessagingServiceSid | None = None
    default_inactive_timer: InactiveTimer = timedelta(0)
    default_closed_timer: ClosedTimer = timedelta(0)
