"""`convoke console`: print a link that signs a person in to the console."""

from __future__ import annotations

import click

from convoke.api.console import PATH
from convoke.cli.data_file import existing_data_option
from convoke.cli.installation import open_installation
from convoke.operations.console_codes import ConsoleCodeOperations


def console_link(url: str, account_sid: str, codes: ConsoleCodeOperations) -> str:
    """Create a one-time code, and return a link to the console that contains this code.

    The code follows `#` in the URL, because browsers do not send this part of a URL to a server.
    """
    return f"{url}{PATH}#code={account_sid}.{codes.create(account_sid)}"


@click.command()
@click.argument("account_sid", required=False)
@click.option(
    "--url",
    default="http://127.0.0.1:8000",
    show_default=True,
    help="Base URL of the running instance, as `convoke up` printed it.",
)
@existing_data_option
def console(account_sid: str | None, url: str, data: str) -> None:
    """Print a link that signs you in to the console of a running instance.

    The link works once, within ten minutes. The sign-in lasts a day. ACCOUNT_SID defaults to the oldest account.
    """
    with open_installation(data, None) as installation:
        sid = installation.account_sid(account_sid)
        click.echo(console_link(url.rstrip("/"), sid, installation.program.console_codes))
