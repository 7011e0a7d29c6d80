"""The one-time code in the link to the console. The console exchanges the code for an API key.

See docs/behaviour/accounts-and-api-keys.md#console-codes.
"""

from __future__ import annotations

from datetime import timedelta
from typing import Annotated

from pydantic import AfterValidator

from convoke.domain.errors import NotAuthenticatedError
from convoke.domain.instants import Instant
from convoke.domain.json_schema import sid_schema, string_schema
from convoke.domain.model import Model
from convoke.domain.sids import Prefix, parse_sid

CODE_LIFETIME = timedelta(minutes=10)

CONSOLE_KEY_LIFETIME = timedelta(days=1)
"""The lifetime of the API key that the console gets for a code."""

CONSOLE_KEY_NAME = "Console"


class ConsoleCode(Model):
    """A one-time code that the console has not exchanged yet.

    The key of the stored item contains the hash of the code. Convoke does not store the code.
    """

    account_sid: str
    date_expires: Instant


def check_account_sid(text: str) -> str:
    sid = parse_sid(text, Prefix.ACCOUNT)
    if sid is None:
        raise NotAuthenticatedError
    return sid


class NewConsoleKey(Model):
    """The parameters of a request that exchanges a code for an API key."""

    account_sid: Annotated[str, AfterValidator(check_account_sid), sid_schema(Prefix.ACCOUNT)]
    code: Annotated[str, string_schema(100)]
