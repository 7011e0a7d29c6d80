"""`convoke account` and `convoke key`: the accounts of a data file or of a deployment, and their API keys."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

import click

from convoke.local.data_file import data_option, engine_on, existing_data_option

if TYPE_CHECKING:
    from convoke.operations.accounts import AccountOperations

CONFIGURED = {"owned_addresses", "default_inactive_timer", "default_closed_timer"}
"""What the commands do not show of an account: its configuration is asked for over the API."""

stack_option = click.option(
    "--stack",
    metavar="NAME",
    # So it is known when --data is looked at.
    is_eager=True,
    help="Instead of a data file, a deployment on AWS: its stack, where your AWS_PROFILE, AWS_REGION and so on say.",
)


@click.group()
def account() -> None:
    """The accounts in a data file, or of a deployment on AWS."""


@account.command("create")
@data_option
@stack_option
def account_create(data: str, stack: str | None) -> None:
    """Make an account, with its default service and Messaging Service."""
    from convoke.operations.accounts import new_token

    with accounts_in(data, stack) as accounts:
        token = new_token()
        created = accounts.create(token=token)
        click.echo(json.dumps({**created.model_dump(mode="json", exclude=CONFIGURED), "auth_token": token}))


@account.command("list")
@existing_data_option
@stack_option
def account_list(data: str, stack: str | None) -> None:
    """Print every account, one line of JSON each, without its token."""
    with accounts_in(data, stack) as accounts:
        for listed in accounts.accounts.list():
            click.echo(listed.model_dump_json(exclude=CONFIGURED))


@account.command("rotate-token")
@click.argument("account_sid")
@existing_data_option
@stack_option
def account_rotate_token(account_sid: str, data: str, stack: str | None) -> None:
    """Give an account a new Auth Token.

    A running instance takes it up within some seconds, a deployment on AWS within about a minute.
    """
    with accounts_in(data, stack) as accounts:
        token = accounts.rotate_token(account_sid)
        if token is None:
            raise missing(f"account {account_sid}", data, stack)
        click.echo(json.dumps({"sid": account_sid, "auth_token": token}))


@click.group()
def key() -> None:
    """The API keys of an account: SID and secret stand for the account's own."""


@key.command("create")
@click.argument("account_sid", required=False)
@click.option("--name", default="", help="What to know it by, of at most 64 characters.")
@existing_data_option
@stack_option
def key_create(account_sid: str | None, name: str, data: str, stack: str | None) -> None:
    """Make an API key of an account, of the oldest where none is named.

    Its secret is printed here, and can not be had again.
    """
    from convoke.domain.errors import FriendlyNameTooLongError

    with accounts_in(data, stack) as accounts:
        owner = known_account(accounts, account_sid, data, stack)
        try:
            created, secret = accounts.api_keys.create(owner, name)
        except FriendlyNameTooLongError as error:
            raise click.ClickException(error.message) from error
        click.echo(json.dumps({**created.model_dump(mode="json"), "secret": secret}))


@key.command("list")
@click.argument("account_sid", required=False)
@existing_data_option
@stack_option
def key_list(account_sid: str | None, data: str, stack: str | None) -> None:
    """Print every API key of an account, of the oldest where none is named, one line of JSON each."""
    with accounts_in(data, stack) as accounts:
        for listed in accounts.api_keys.list(known_account(accounts, account_sid, data, stack)):
            click.echo(listed.model_dump_json())


@key.command("revoke")
@click.argument("key_sid")
@existing_data_option
@stack_option
def key_revoke(key_sid: str, data: str, stack: str | None) -> None:
    """End an API key, for good. It stops working within 5 seconds."""
    with accounts_in(data, stack) as accounts:
        if not accounts.api_keys.delete(key_sid):
            raise missing(f"API key {key_sid}", data, stack)
        click.echo(json.dumps({"sid": key_sid}))


def known_account(accounts: AccountOperations, account_sid: str | None, data: str, stack: str | None) -> str:
    """The SID that is given, or that of the oldest account. Raises ClickException where there is no such account."""
    if account_sid is None:
        known, wanted = next(iter(accounts.accounts.list()), None), "account"
    else:
        known, wanted = accounts.accounts.fetch(account_sid), f"account {account_sid}"
    if known is None:
        raise missing(wanted, data, stack)
    return known.sid


def missing(what: str, data: str, stack: str | None) -> click.ClickException:
    return click.ClickException(f"there is no {what} in {data if stack is None else f'the stack {stack}'}")


@contextmanager
def accounts_in(data: str, stack: str | None) -> Iterator[AccountOperations]:
    """Those of a deployment where a stack is named, else those of a data file."""
    if stack is None:
        with engine_on(data) as engine:
            yield engine.accounts
        return
    from convoke.local.deployment import DeploymentError, accounts_of

    try:
        with accounts_of(stack) as accounts:
            yield accounts
    except DeploymentError as error:
        raise click.ClickException(str(error)) from error
