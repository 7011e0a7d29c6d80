"""Accounts. Every resource belongs to one account.

See docs/behaviour/accounts-and-api-keys.md.
"""

from __future__ import annotations

from datetime import timedelta

from convoke.domain.conversations import Timers
from convoke.domain.instants import Instant
from convoke.domain.model import Model


class Account(Model):
    """An account with its configuration. Its Auth Token is stored separately.

    See docs/behaviour/configuration.md#account-configuration.
    """

    sid: str
    date_created: Instant
    default_chat_service_sid: str
    """The service of paths that name none, such as `/v1/Conversations`."""
    default_messaging_service_sid: str | None = None
    default_inactive_timer: timedelta = timedelta(0)
    default_closed_timer: timedelta = timedelta(0)
    owned_addresses: frozenset[str] = frozenset()
    """The proxy and projected addresses that the account may use. If empty, it may use every valid address."""
    error_log_url: str | None = None
    """The URL that alerts are posted to."""

    @property
    def default_timers(self) -> Timers:
        """The timers of a new conversation, unless its request sets them."""
        return Timers(inactive=self.default_inactive_timer, closed=self.default_closed_timer)

    def owns(self, address: str) -> bool:
        """Return whether the account may use a proxy or projected address."""
        return not self.owned_addresses or address in self.owned_addresses


class AccountChange(Model):
    """The base of the changes to an account. A field that was not given stays as it is: see `model_fields_set`."""
