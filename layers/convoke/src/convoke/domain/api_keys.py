"""API keys: credentials of an account beside its Auth Token, each to be revoked by itself (reference, g.1)."""

from __future__ import annotations

from convoke.domain.errors import FriendlyNameTooLongError
from convoke.domain.instants import Instant
from convoke.domain.model import Model

MAX_KEY_NAME_CHARACTERS = 64


class ApiKey(Model):
    """A key as it is listed. Its secret is told once, to whoever makes the key, and kept nowhere."""

    sid: str
    account_sid: str
    friendly_name: str
    date_created: Instant


class ApiKeyOwner(Model):
    """Whose a key is, and what its secret is recognised by."""

    account_sid: str
    secret_hash: str


def check_key_name(name: str) -> str:
    if len(name) > MAX_KEY_NAME_CHARACTERS:
        raise FriendlyNameTooLongError
    return name
