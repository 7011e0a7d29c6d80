"""API keys: create, list, delete, and whose a key is."""

from __future__ import annotations

import hashlib
import hmac
import secrets
import string
from collections.abc import Iterator
from dataclasses import dataclass

from convoke.domain.api_keys import ApiKey, ApiKeyOwner, check_key_name
from convoke.domain.instants import Clock
from convoke.domain.sids import NewSid, Prefix, parse_sid
from convoke.storage.api_keys import CachedApiKeys

ALPHABET = string.ascii_letters + string.digits


@dataclass(frozen=True, slots=True)
class ApiKeyOperations:
    api_keys: CachedApiKeys
    now: Clock
    new_sid: NewSid

    def create(self, account_sid: str, friendly_name: str = "") -> tuple[ApiKey, str]:
        """A new key of an account that exists, and its secret. Raises FriendlyNameTooLongError."""
        key = ApiKey(
            sid=self.new_sid(Prefix.API_KEY),
            account_sid=account_sid,
            friendly_name=check_key_name(friendly_name),
            date_created=self.now(),
        )
        secret = new_secret()
        self.api_keys.create(key, ApiKeyOwner(account_sid=account_sid, secret_hash=hash_of(secret)))
        return key, secret

    def list(self, account_sid: str) -> Iterator[ApiKey]:
        return self.api_keys.list(account_sid)

    def delete(self, key_sid: str) -> bool:
        """Revoke a key; False where there is none. Elsewhere it still works for as long as it is remembered there."""
        if (known := parse_sid(key_sid, Prefix.API_KEY)) is None or (owner := self.api_keys.fetch_owner(known)) is None:
            return False
        self.api_keys.delete(owner.account_sid, known)
        return True

    def account_of(self, key_sid: str, secret: str) -> str | None:
        """The SID of the account whose key this is; None where there is no such key or its secret is another."""
        owner = self.api_keys.fetch_owner(key_sid)
        if owner is None or not hmac.compare_digest(owner.secret_hash, hash_of(secret)):
            return None
        return owner.account_sid


def new_secret() -> str:
    """32 letters and digits, as Twilio's are: 190 bits."""
    return "".join(secrets.choice(ALPHABET) for _ in range(32))


def hash_of(secret: str) -> str:
    """SHA-256, without salt. Salts and slow hashes protect what people think up, which can be guessed.

    Nobody guesses 190 random bits, no two secrets are the same, and every request would pay for the slowness.
    """
    return hashlib.sha256(secret.encode()).hexdigest()
