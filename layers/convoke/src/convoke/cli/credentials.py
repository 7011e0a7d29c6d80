"""The account that a fresh instance starts with."""

from __future__ import annotations

from collections.abc import Mapping

from convoke.domain.accounts import Account
from convoke.domain.sids import Prefix, is_sid
from convoke.operations.accounts import AccountOperations

SID_VARIABLE = "CONVOKE_ACCOUNT_SID"
TOKEN_VARIABLE = "CONVOKE_AUTH_TOKEN"  # noqa: S105 - its name


class CredentialsError(Exception):
    """The credentials in the environment cannot be used. The message is one line for whoever set them."""


def first_account(accounts: AccountOperations, environ: Mapping[str, str]) -> tuple[Account, str]:
    """The account to use, and its Auth Token: the one the environment names, else the oldest, else a new one.

    A token in the environment replaces the one that was kept. Raises CredentialsError.
    """
    sid, token = environ.get(SID_VARIABLE) or None, environ.get(TOKEN_VARIABLE) or None
    if sid is not None and not is_sid(sid, Prefix.ACCOUNT):
        raise CredentialsError(f"{SID_VARIABLE} is no Account SID: AC and 32 hexadecimal digits")
    known = accounts.accounts.fetch(sid) if sid else next(iter(accounts.accounts.list()), None)
    if known is None:
        known = accounts.create(sid, token)
    elif token is not None:
        accounts.auth_tokens.put(known.sid, token)
    return known, accounts.token(known.sid)
