"""Choose the account that `convoke up` uses. Environment variables can set the account and its Auth Token."""

from __future__ import annotations

from collections.abc import Mapping

from convoke.domain.accounts import Account
from convoke.domain.sids import Prefix, is_sid
from convoke.operations.accounts import AccountOperations

SID_VARIABLE = "CONVOKE_ACCOUNT_SID"
TOKEN_VARIABLE = "CONVOKE_AUTH_TOKEN"  # noqa: S105 - the name of a variable, not a token


class CredentialsError(Exception):
    """The credentials in the environment are invalid. The error text is one line for the user."""


def first_account(accounts: AccountOperations, environ: Mapping[str, str]) -> tuple[Account, str]:
    """Return the account that `convoke up` uses, and its Auth Token. Raises CredentialsError.

    The environment can name the account. Otherwise the function returns the oldest account. If the account does not
    exist, the function creates it. An Auth Token in the environment replaces the stored Auth Token.
    """
    sid, token = environ.get(SID_VARIABLE) or None, environ.get(TOKEN_VARIABLE) or None
    if sid is not None and not is_sid(sid, Prefix.ACCOUNT):
        raise CredentialsError(f"{SID_VARIABLE} must be an Account SID: AC and 32 hexadecimal digits")
    account = accounts.accounts.fetch(sid) if sid else next(iter(accounts.accounts.list()), None)
    if account is None:
        account = accounts.create(sid, token)
    elif token is not None:
        accounts.auth_tokens.put(account.sid, token)
    return account, accounts.token(account.sid)
