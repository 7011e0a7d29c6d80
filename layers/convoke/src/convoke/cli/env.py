"""`convoke env`: print the credentials of an account as environment variables of the Twilio SDKs."""

from __future__ import annotations

import click

from convoke.cli.credentials import account_sid_option
from convoke.cli.data_file import existing_data_option
from convoke.cli.installation import open_installation, stack_option


@click.command("env")
@account_sid_option
@existing_data_option
@stack_option
def env(account_sid: str | None, data: str, stack: str | None) -> None:
    """Print the Account SID and the Auth Token as environment variables.

    The Twilio SDKs and the Twilio CLI read these variables. Append the printed lines to a file `.env`, or run
    `export $(convoke env)`.
    """
    with open_installation(data, stack) as installation:
        sid = installation.account_sid(account_sid)
        click.echo(f"TWILIO_ACCOUNT_SID={sid}\nTWILIO_AUTH_TOKEN={installation.accounts.token(sid)}")
