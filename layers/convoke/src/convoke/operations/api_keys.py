"""Create, fetch, list, update and delete API keys, and authenticate requests with an API key."""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Iterator
from datetime import timedelta
from typing import NamedTuple

from convoke.domain import instants
from convoke.domain.api_keys import ApiKey, ApiKeyOwner, NewApiKey, check_key_name, derive_secret
from convoke.domain.errors import NotFoundError
from convoke.domain.instants import Clock
from convoke.domain.pages import Page, PageRequest
from convoke.domain.sids import NewSid, Prefix, parse_sid
from convoke.lean_dataclass import lean_dataclass
from convoke.storage.api_key_masters import KnownMasters
from convoke.storage.api_keys import CachedApiKeys


class SigningKey(NamedTuple):
    """The secret of an API key, and the SID of the account that owns the key."""

    account_sid: str
    secret: str


@lean_dataclass
class ApiKeyOperations:
    api_keys: CachedApiKeys
    masters: KnownMasters
    now: Clock
    new_sid: NewSid
    real_time: Clock = instants.now
    """The clock that determines whether an API key has expired.

    This is the real clock, and not the clock `now`, which a test can move. A test that moves `now` must not sign a
    person out of the console, which uses an API key that expires.
    """

    def create(
        self, account_sid: str, friendly_name: str = "", lifetime: timedelta | None = None
    ) -> tuple[ApiKey, str]:
        """Create an API key for an existing account. Returns the API key and its secret.

        Without a `lifetime`, the API key does not expire. Raises FriendlyNameTooLongError.
        """
        key = ApiKey(
            sid=self.new_sid(Prefix.API_KEY),
            account_sid=account_sid,
            friendly_name=check_key_name(friendly_name),
            date_created=self.now(),
            date_expires=self.real_time() + lifetime if lifetime else None,
        )
        master = self.masters.current()
        owner = ApiKeyOwner(account_sid=account_sid, master_version=master.version, date_expires=key.date_expires)
        self.api_keys.create(key, owner)
        return key, derive_secret(master.secret, account_sid, key.sid)

    def fetch(self, account_sid: str, key_sid: str) -> ApiKey:
        """Return an API key. Raises NotFoundError if the account has no such key."""
        known = parse_sid(key_sid, Prefix.API_KEY)
        key = known and self.api_keys.fetch(account_sid, known)
        if not key:
            raise NotFoundError
        return key

    def page(self, account_sid: str, page: PageRequest) -> Page[ApiKey]:
        return self.api_keys.page(account_sid, page)

    def update(self, account_sid: str, key_sid: str, change: NewApiKey) -> ApiKey:
        """Store the friendly name if the request contains a friendly name. Return the API key.

        Raises NotFoundError if the account has no such key.
        """
        key = self.fetch(account_sid, key_sid)
        if not change.model_fields_set:
            return key
        updated = key.model_copy(update={"friendly_name": change.friendly_name, "date_updated": self.now()})
        if not self.api_keys.update(updated):
            raise NotFoundError
        return updated

    def list(self, account_sid: str) -> Iterator[ApiKey]:
        return self.api_keys.list(account_sid)

    def delete(self, key_sid: str) -> bool:
        """Revoke an API key. Returns False if the API key does not exist.

        Other processes may still accept the API key for some seconds, because each process caches API keys.
        """
        if (known := parse_sid(key_sid, Prefix.API_KEY)) is None or (owner := self.api_keys.fetch_owner(known)) is None:
            return False
        self.api_keys.delete(owner.account_sid, known)
        return True

    def delete_expired(self, account_sid: str) -> None:
        for key in self.list(account_sid):
            if key.date_expires and key.date_expires <= self.real_time():
                self.api_keys.delete(account_sid, key.sid)

    def owner(self, key_sid: str) -> str | None:
        """Return the SID of the account that owns an API key, or None if the API key does not exist."""
        owner = self.api_keys.fetch_owner(key_sid)
        return owner.account_sid if owner else None

    def authenticate(self, key_sid: str, secret: str) -> str | None:
        """Return the SID of the account that owns an API key.

        Return None if the API key does not exist or has expired, or if the secret is wrong. Also return None if the
        master secret of the API key is missing.
        """
        owner = self.api_keys.fetch_owner(key_sid)
        if owner is None or not owner.is_valid(self.real_time()):
            return None
        return owner.account_sid if self._is_secret(key_sid, owner, secret) else None

    def is_valid(self, key_sid: str) -> bool:
        """Return whether an API key exists and has not expired."""
        owner = self.api_keys.fetch_owner(key_sid)
        return owner is not None and owner.is_valid(self.real_time())

    def signing_key(self, key_sid: str) -> SigningKey | None:
        """Return the account of an API key, and the secret of the API key. This secret signs access tokens.

        Return None if the API key does not exist or has expired. Also return None if Convoke cannot compute the secret:
        an early version of Convoke created the key and stored only a hash, or the master secret is missing.
        """
        owner = self.api_keys.fetch_owner(key_sid)
        if owner is None or owner.master_version is None or not owner.is_valid(self.real_time()):
            return None
        master_secret = self.masters.secret(owner.master_version)
        if master_secret is None:
            return None
        return SigningKey(owner.account_sid, derive_secret(master_secret, owner.account_sid, key_sid))

    def _is_secret(self, key_sid: str, owner: ApiKeyOwner, secret: str) -> bool:
        if owner.secret_hash is not None:
            # An early version of Convoke created this API key with a random secret.
            return hmac.compare_digest(owner.secret_hash, hash_secret(secret))
        master_secret = self.masters.secret(owner.master_version or "")
        if master_secret is None:
            return False
        derived = derive_secret(master_secret, owner.account_sid, key_sid)
        return hmac.compare_digest(derived.encode(), secret.encode())


def hash_secret(secret: str) -> str:
    """Return the SHA-256 hash of a secret, without salt.

    A salt and a slow hash protect passwords that people choose. The secrets of early API keys and the codes of the
    console need neither, because they have at least 190 random bits. A slow hash would also delay every request with an
    early API key.
    """
    return hashlib.sha256(secret.encode()).hexdigest()
