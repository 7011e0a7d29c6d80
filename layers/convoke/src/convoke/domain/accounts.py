"""The account and its configuration. An account owns all other resources.

See docs/behaviour/accounts-and-api-keys.md.
"""

from __future__ import annotations

from datetime import timedelta

from convoke.domain.instants import Instant
from convoke.domain.model import Model
from convoke.domain.timers import Timers


class Account(Model):
    """An account with its configuration. The Auth Token of the account is stored separately.

    See docs/behaviour/configuration.md#account-configuration.
    """

    sid: str
    date_created: Instant
    default_chat_service_sid: str
    """The service for requests whose path names no service. An example is the path `/v1/Conversations`."""
    default_messaging_service_sid: str | None = None
    default_inactive_timer: timedelta = timedelta(0)
    default_closed_timer: timedelta = timedelta(0)
    owned_addresses: frozenset[str] = frozenset()
    """The proxy and projected addresses that the account may use. An empty set allows every valid address."""
    error_log_url: str | None = None
    """Convoke posts each new alert to this URL. None if Convoke must not post alerts."""

    @property
    def default_timers(self) -> Timers:
        """The default timers of a new conversation. The request that creates a conversation can override each timer."""
        return Timers(inactive=self.default_inactive_timer, closed=self.default_closed_timer)

    def owns(self, address: str) -> bool:
        """Return whether the account may use `address` as a proxy address or projected address."""
        return not self.owned_addresses or address in self.owned_addresses


class AccountChange(Model):
    """The base class for the parameters of an account update. Only the fields in `model_fields_set` change."""
