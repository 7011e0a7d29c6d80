"""Create the codes in links to the console, and exchange a code for an API key."""

from __future__ import annotations

from dataclasses import dataclass

from convoke.domain.api_keys import ApiKey
from convoke.domain.console_codes import (
    CODE_LIFETIME,
    CONSOLE_KEY_LIFETIME,
    CONSOLE_KEY_NAME,
    ConsoleCode,
    NewConsoleKey,
)
from convoke.domain.errors import NotAuthenticatedError
from convoke.domain.instants import Clock
from convoke.operations.api_keys import ApiKeyOperations, hash_secret, new_secret
from convoke.storage.console_codes import ConsoleCodeRepository


@dataclass(frozen=True, slots=True)
class ConsoleCodeOperations:
    codes: ConsoleCodeRepository
    api_keys: ApiKeyOperations
    now: Clock

    def create(self, account_sid: str) -> str:
        """Return a new code for an existing account."""
        code = new_secret()
        stored = ConsoleCode(account_sid=account_sid, date_expires=self.now() + CODE_LIFETIME)
        self.codes.create(stored, hash_secret(code))
        return code

    def exchange(self, requested: NewConsoleKey) -> tuple[ApiKey, str]:
        """Use up a code. Return a new API key of the account, and its secret.

        If the process dies after the code is used up, the person needs a new link. Raises NotAuthenticatedError if the
        code does not exist, was used or has expired.
        """
        if not self.codes.take(requested.account_sid, hash_secret(requested.code), self.now()):
            raise NotAuthenticatedError
        return self.api_keys.create(requested.account_sid, CONSOLE_KEY_NAME, CONSOLE_KEY_LIFETIME)
