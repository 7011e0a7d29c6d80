"""API keys: additional credentials of an account. An administrator can revoke each key separately.

See docs/behaviour/accounts-and-api-keys.md#api-keys.
"""

from __future__ import annotations

import hashlib
import hmac
import secrets
import string
from datetime import datetime
from typing import Annotated, NamedTuple, Self

from pydantic import AfterValidator

from convoke.domain.errors import FriendlyNameTooLongError
from convoke.domain.instants import Instant
from convoke.domain.json_schema import string_schema
from convoke.domain.model import Model

MAX_KEY_NAME_CHARACTERS = 64

SECRET_CHARACTERS = 32

DIGITS = string.digits + string.ascii_uppercase + string.ascii_lowercase
"""The digits of a secret. A secret is a number in base 62."""


class ApiKey(Model):
    """An API key without its secret. Convoke shows the secret only once, when the key is created."""

    sid: str
    account_sid: str
    friendly_name: str
    date_created: Instant
    date_updated: Instant | None = None
    """None if the key was never updated."""
    date_expires: Instant | None = None
    """The time from which Convoke refuses the API key. None if the API key does not expire."""


class ApiKeyOwner(Model):
    """The stored data that Convoke needs to authenticate a request with an API key.

    Either `secret_hash` or `master_version` has a value.
    """

    account_sid: str
    secret_hash: str | None = None
    """The SHA-256 hash of the key's secret. Only early versions of Convoke stored a hash. None for newer keys."""
    master_version: str | None = None
    """The version of the master secret from which Convoke derives the key's secret. None if there is a hash instead."""
    date_expires: Instant | None = None

    def is_valid(self, at: datetime) -> bool:
        return self.date_expires is None or at < self.date_expires


class Master(NamedTuple):
    """One version of the master secret, from which Convoke derives the secrets of API keys. See `derive_secret`."""

    version: str
    secret: str


class Masters(Model):
    """All versions of the master secret."""

    current: str
    """The version from which Convoke derives the secrets of new API keys."""
    secrets: dict[str, str]
    """Maps each version to its master secret."""

    @classmethod
    def first(cls) -> Self:
        return cls(current="1", secrets={"1": new_master_secret()})

    def rotated(self) -> Self:
        version = str(max(map(int, self.secrets)) + 1)
        return type(self)(current=version, secrets={**self.secrets, version: new_master_secret()})


def new_master_secret() -> str:
    return secrets.token_hex(32)


def derive_secret(master_secret: str, account_sid: str, key_sid: str) -> str:
    """Derive the secret of an API key from the master secret. The result has 32 letters and digits (190 bits).

    Convoke derives the secret each time instead of storing it. A stored hash would not be enough, because Convoke needs
    the secret itself to verify the signatures of access tokens.
    """
    message = b"\0".join((b"convoke api key", account_sid.encode(), key_sid.encode()))
    number = int.from_bytes(hmac.digest(master_secret.encode(), message, hashlib.sha256))
    digits = []
    for _ in range(SECRET_CHARACTERS):
        number, digit = divmod(number, len(DIGITS))
        digits.append(DIGITS[digit])
    return "".join(digits)


def check_key_name(name: str) -> str:
    if len(name) > MAX_KEY_NAME_CHARACTERS:
        raise FriendlyNameTooLongError
    return name


KeyName = Annotated[str, AfterValidator(check_key_name), string_schema(MAX_KEY_NAME_CHARACTERS)]


class NewApiKey(Model):
    """The parameters of a request that creates an API key or updates its name."""

    friendly_name: KeyName = ""
