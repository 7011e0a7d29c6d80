"""API keys, which are additional credentials of an account. An administrator can revoke each key separately.

See docs/behaviour/accounts-and-api-keys.md#api-keys.
"""

from __future__ import annotations

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


class ApiKeyOwner(Model):
    """The stored data that Convoke needs to authenticate a request with an API key."""

    account_sid: str
    secret_hash: str


def check_key_name(name: str) -> str:
    if len(name) > MAX_KEY_NAME_CHARACTERS:
        raise FriendlyNameTooLongError
    return name
