"""`convoke account`: create and list the accounts of a data file or an AWS deployment, and rotate Auth Tokens."""

from __future__ import annotations

import click

from convoke.cli.data_file import data_option, existing_data_option
from convoke.cli.installation import open_installation, stack_option
from convoke.cli.output import print_object, print_rows
from convoke.operations.accounts import new_token

CONFIGURATION_FIELDS = {"owned_addresses", "default_inactive_timer", "default_closed_timer", "error_log_url"}
"""The fields of the account's configuration, except the default services. The commands do not print these fields."""


@click.group()
def account() -> None:
    """Manage the accounts of a data file or an AWS deployment."""


@account.command("create")
@data_option
@stack_option
def account_create(data: str, stack: str | None) -> None:
    """Create an account with its default services.

    The default services are a Conversations service and a Messaging Service. The command prints the account with its
    Auth Token. If the data file does not exist, the command creates the data file.
    """
    with open_installation(data, stack) as installation:
        token = new_token()
        created = installation.accounts.create(token=token)
        print_object({**created.model_dump(mode="json", exclude=CONFIGURATION_FIELDS), "auth_token": token})


@account.command("list")
@existing_data_option
@stack_option
def account_list(data: str, stack: str | None) -> None:
    """Print all accounts without their Auth Tokens.

    On a terminal, the command prints a table. Otherwise it prints one line of JSON for each account.
    """
    with open_installation(data, stack) as installation:
        accounts = installation.accounts.accounts.list()
        print_rows(each.model_dump(mode="json", exclude=CONFIGURATION_FIELDS) for each in accounts)


@account.command("rotate-token")
@click.argument("account_sid")
@existing_data_option
@stack_option
def account_rotate_token(account_sid: str, data: str, stack: str | None) -> None:
    """Replace the Auth Token of an account.

    The command prints the new token. A running `convoke up` accepts the new token within 5 seconds. An AWS deployment
    accepts the new token within about a minute.
    """
    with open_installation(data, stack) as installation:
        token = installation.accounts.rotate_token(account_sid)
        if token is None:
            raise installation.missing(f"account {account_sid}")
        print_object({"sid": account_sid, "auth_token": token})
