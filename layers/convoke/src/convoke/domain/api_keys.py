"""API keys: additional credentials of an account, which can be revoked one by one.

See docs/behaviour/accounts-and-api-keys.md#api-keys.
"""

from __future__ import annotations

from convoke.domain.errors import FriendlyNameTooLongError
from convoke.domain.instants import Instant
from convoke.domain.model import Model

MAX_KEY_NAME_CHARACTERS = 64


class ApiKey(Model):
    """A key as it is listed. Its secret is shown once, when the key is created, and only its hash is stored."""

    sid: str
    account_sid: str
    friendly_name: str
    date_created: Instant


class ApiKeyOwner(Model):
    """The account of a key, and the hash of the key's secret."""

    account_sid: str
    secret_hash: str


def check_key_name(name: str) -> str:
    if len(name) > MAX_KEY_NAME_CHARACTERS:
        raise FriendlyNameTooLongError
    return name
