"""`convoke key`: create, list and revoke the API keys of an account, and add a master secret for new API keys."""

from __future__ import annotations

import click

from convoke.cli.data_file import existing_data_option
from convoke.cli.installation import open_installation, stack_option
from convoke.cli.output import print_object, print_rows
from convoke.domain.errors import FriendlyNameTooLongError


@click.group()
def key() -> None:
    """Manage the API keys of an account.

    A client may authenticate with the SID and the secret of an API key instead of the Account SID and the Auth Token.
    """


@key.command("create")
@click.argument("account_sid", required=False)
@click.option("--name", default="", help="Friendly name of the key, at most 64 characters. The default is empty.")
@existing_data_option
@stack_option
def key_create(account_sid: str | None, name: str, data: str, stack: str | None) -> None:
    """Create an API key and print it with its secret.

    Save the secret, because no command prints the secret again. ACCOUNT_SID defaults to the oldest account.
    """
    with open_installation(data, stack) as installation:
        owner = installation.account_sid(account_sid)
        try:
            created, secret = installation.accounts.api_keys.create(owner, name)
        except FriendlyNameTooLongError as error:
            raise click.ClickException(error.message) from error
        print_object({**created.model_dump(mode="json"), "secret": secret})


@key.command("list")
@click.argument("account_sid", required=False)
@existing_data_option
@stack_option
def key_list(account_sid: str | None, data: str, stack: str | None) -> None:
    """Print all API keys of an account, without their secrets.

    On a terminal, the command prints a table. Otherwise it prints one line of JSON for each key. ACCOUNT_SID defaults
    to the oldest account.
    """
    with open_installation(data, stack) as installation:
        keys = installation.accounts.api_keys.list(installation.account_sid(account_sid))
        print_rows(each.model_dump(mode="json") for each in keys)


@key.command("revoke")
@click.argument("key_sid")
@existing_data_option
@stack_option
def key_revoke(key_sid: str, data: str, stack: str | None) -> None:
    """Revoke an API key permanently. The API key stops working within 5 seconds."""
    with open_installation(data, stack) as installation:
        if not installation.accounts.api_keys.delete(key_sid):
            raise installation.missing(f"API key {key_sid}")
        print_object({"sid": key_sid})


@key.command("rotate-master")
@existing_data_option
@stack_option
def key_rotate_master(data: str, stack: str | None) -> None:
    """Add a master secret for new API keys.

    Convoke derives the secret of a new API key from the newest master secret. Existing API keys keep their secrets. To
    replace the secret of an existing API key, create a new API key and revoke the old API key.
    """
    with open_installation(data, stack) as installation:
        print_object({"version": installation.accounts.api_keys.masters.rotate().version})
