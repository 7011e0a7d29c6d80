"""Create one-time codes for links to the console, and exchange a code for an API key.

A person can also sign in without a link, with an API key and its secret: see `console/static/pages.js`.
"""

from __future__ import annotations

import secrets

from convoke.domain import instants
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
from convoke.lean_dataclass import lean_dataclass
from convoke.operations.api_keys import ApiKeyOperations, hash_secret
from convoke.storage.console_codes import ConsoleCodeRepository

CODE_BYTES = 24


@lean_dataclass
class ConsoleCodeOperations:
    codes: ConsoleCodeRepository
    api_keys: ApiKeyOperations
    real_time: Clock = instants.now
    """The clock that determines whether a code has expired.

    This clock is the real clock and not the clock of the instance, which a test can move. The process `convoke
    console`, which creates codes, does not know the clock of the instance.
    """

    def create(self, account_sid: str) -> str:
        """Store a code for an existing account, and return the code."""
        code = secrets.token_urlsafe(CODE_BYTES)
        stored = ConsoleCode(account_sid=account_sid, date_expires=self.real_time() + CODE_LIFETIME)
        self.codes.create(stored, hash_secret(code))
        return code

    def exchange(self, requested: NewConsoleKey) -> tuple[ApiKey, str]:
        """Exchange a code for a new API key of the account. Return the API key and its secret.

        The code can be used only once. If the process dies before the response, the person needs a new link. The method
        also deletes expired codes and expired API keys of the account, because no periodic task deletes them.

        Raises NotAuthenticatedError if the code does not exist, was used or has expired.
        """
        account_sid = requested.account_sid
        if not self.codes.take(account_sid, hash_secret(requested.code), self.real_time()):
            raise NotAuthenticatedError
        self.codes.delete_expired(account_sid, self.real_time())
        self.api_keys.delete_expired(account_sid)
        return self.api_keys.create(account_sid, CONSOLE_KEY_NAME, CONSOLE_KEY_LIFETIME)
