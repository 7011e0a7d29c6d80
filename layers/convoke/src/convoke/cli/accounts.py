"""`convoke account` and `convoke key`: the accounts of a data file or of a deployment, and their API keys."""

from __future__ import annotations

import json

import click

from convoke.cli.data_file import data_option, existing_data_option
from convoke.cli.installation import open_installation, stack_option

CONFIGURED = {"owned_addresses", "default_inactive_timer", "default_closed_timer", "error_log_url"}
"""What the commands do not show of an account: its configuration is asked for over the API."""


@click.group()
def account() -> None:
    """The accounts in a data file, or of a deployment on AWS."""


@account.command("create")
@data_option
@stack_option
def account_create(data: str, stack: str | None) -> None:
    """Make an account, with its default service and Messaging Service."""
    from convoke.operations.accounts import new_token

    with open_installation(data, stack) as place:
        token = new_token()
        created = place.accounts.create(token=token)
        click.echo(json.dumps({**created.model_dump(mode="json", exclude=CONFIGURED), "auth_token": token}))


@account.command("list")
@existing_data_option
@stack_option
def account_list(data: str, stack: str | None) -> None:
    """Print every account, one line of JSON each, without its token."""
    with open_installation(data, stack) as place:
        for listed in place.accounts.accounts.list():
            click.echo(listed.model_dump_json(exclude=CONFIGURED))


@account.command("rotate-token")
@click.argument("account_sid")
@existing_data_option
@stack_option
def account_rotate_token(account_sid: str, data: str, stack: str | None) -> None:
    """Give an account a new Auth Token.

    A running instance takes it up within some seconds, a deployment on AWS within about a minute.
    """
    with open_installation(data, stack) as place:
        token = place.accounts.rotate_token(account_sid)
        if token is None:
            raise place.missing(f"account {account_sid}")
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

    with open_installation(data, stack) as place:
        owner = place.account_sid(account_sid)
        try:
            created, secret = place.accounts.api_keys.create(owner, name)
        except FriendlyNameTooLongError as error:
            raise click.ClickException(error.message) from error
        click.echo(json.dumps({**created.model_dump(mode="json"), "secret": secret}))


@key.command("list")
@click.argument("account_sid", required=False)
@existing_data_option
@stack_option
def key_list(account_sid: str | None, data: str, stack: str | None) -> None:
    """Print every API key of an account, of the oldest where none is named, one line of JSON each."""
    with open_installation(data, stack) as place:
        for listed in place.accounts.api_keys.list(place.account_sid(account_sid)):
            click.echo(listed.model_dump_json())


@key.command("revoke")
@click.argument("key_sid")
@existing_data_option
@stack_option
def key_revoke(key_sid: str, data: str, stack: str | None) -> None:
    """End an API key, for good. It stops working within 5 seconds."""
    with open_installation(data, stack) as place:
        if not place.accounts.api_keys.delete(key_sid):
            raise place.missing(f"API key {key_sid}")
        click.echo(json.dumps({"sid": key_sid}))
