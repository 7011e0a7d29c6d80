"""API keys, which are additional credentials of an account. An administrator can revoke each key separately.

See docs/behaviour/accounts-and-api-keys.md#api-keys.
"""

from __future__ import annotations

from datetime import datetime

from convoke.domain.errors import FriendlyNameTooLongError
from convoke.domain.instants import Instant
from convoke.domain.model import Model

MAX_KEY_NAME_CHARACTERS = 64


class ApiKey(Model):
    """An API key without its secret.

    Convoke shows the secret only once, when the key is created, and stores only a hash of the secret.
    """

    sid: str
    account_sid: str
    friendly_name: str
    date_created: Instant
    date_expires: Instant | None = None
    """The time from which the API key is refused. None means that the API key does not expire."""


class ApiKeyOwner(Model):
    """The stored data that Convoke needs to authenticate a request with an API key."""

    account_sid: str
    secret_hash: str
    date_expires: Instant | None = None

    def is_valid(self, at: datetime) -> bool:
        return self.date_expires is None or at < self.date_expires


def check_key_name(name: str) -> str:
    if len(name) > MAX_KEY_NAME_CHARACTERS:
        raise FriendlyNameTooLongError
    return name
