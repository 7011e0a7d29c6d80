"""`convoke table`: prepare an existing DynamoDB table for a new AWS deployment.

The table was kept when its stack was deleted, or was restored from a backup.
"""

from __future__ import annotations

import click

DEFAULT_SECRET_PREFIX = "convoke/auth-tokens/"  # noqa: S105 - the prefix of names
"""The prefix of the names of the Auth Token secrets, if the stack has the name that samconfig.toml sets."""


@click.group()
def table() -> None:
    """Prepare a DynamoDB table for a new AWS deployment."""


@table.command("prepare")
@click.argument("name", metavar="TABLE")
@click.option(
    "--secret-prefix",
    default=DEFAULT_SECRET_PREFIX,
    show_default=True,
    help="Prefix of the names of the Auth Token secrets. The output AuthTokenPrefix of the stack that created the table"
    " contains this prefix.",
)
def table_prepare(name: str, secret_prefix: str) -> None:
    """Prepare a kept or restored table for a new stack.

    The command turns on the stream, the expiry of items, point-in-time recovery and deletion protection, because a
    restored table does not have these settings. Then the command prints the parameters for a stack that uses the table.
    Set AWS_REGION to the region of the table. You can repeat the command safely.
    """
    # Import here, because boto3 is an optional dependency that takes long to import.
    from convoke.cli.existing_table import ExistingTableError, prepare  # noqa: PLC0415 - imports boto3

    try:
        parameters = prepare(name, secret_prefix)
    except ExistingTableError as error:
        raise click.ClickException(str(error)) from error
    for parameter, value in parameters.items():
        click.echo(f"{parameter}={value}")
