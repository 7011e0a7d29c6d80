"""Define the option `--account-sid`, and choose the account that `convoke up` uses, with its Auth Token."""

from __future__ import annotations

from collections.abc import Mapping

import click

from convoke.domain.accounts import Account
from convoke.domain.sids import Prefix, is_sid
from convoke.operations.accounts import AccountOperations

SID_VARIABLE = "CONVOKE_ACCOUNT_SID"
TOKEN_VARIABLE = "CONVOKE_AUTH_TOKEN"  # noqa: S105 - the name of a variable, not a token


account_sid_option = click.option(
    "--account-sid",
    metavar="SID",
    envvar=SID_VARIABLE,
    show_envvar=True,
    help="Account to use. The default is the oldest account.",
)


class CredentialsError(Exception):
    """The Account SID in the option or the environment is invalid. The error text is one line for the user."""


def first_account(accounts: AccountOperations, sid: str | None, environ: Mapping[str, str]) -> tuple[Account, str]:
    """Return the account that `convoke up` uses, with its Auth Token. Raise CredentialsError if `sid` is invalid.

    If `sid` is None, use the oldest account. Create the account if it does not exist. If CONVOKE_AUTH_TOKEN is set, its
    value permanently replaces the stored Auth Token.
    """
    token = environ.get(TOKEN_VARIABLE) or None
    if sid is not None and not is_sid(sid, Prefix.ACCOUNT):
        raise CredentialsError(f"--account-sid and {SID_VARIABLE} must be an Account SID: AC and 32 hexadecimal digits")
    account = accounts.accounts.fetch(sid) if sid else next(iter(accounts.accounts.list()), None)
    if account is None:
        account = accounts.create(sid, token)
    elif token is not None:
        accounts.auth_tokens.put(account.sid, token)
    return account, accounts.token(account.sid)
