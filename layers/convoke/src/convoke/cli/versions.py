"""`convoke versions`: delete old versions of the functions of an AWS deployment."""

from __future__ import annotations

import click

from convoke.cli.output import print_rows

KEPT_VERSIONS = 2
"""The number of versions that are kept for each function.

These are the version that the alias uses and the previous version, to which an operator can go back.
"""


@click.group()
def versions() -> None:
    """Delete old versions of the functions of an AWS deployment."""


@versions.command("prune")
@click.option("--stack", metavar="NAME", required=True, help="Name of the stack. boto3 finds the credentials.")
def versions_prune(stack: str) -> None:
    """Delete all but the last two versions of each function.

    A deployment does not delete the versions that it replaces, and AWS charges for the snapshot of each version. A
    version is never deleted while an alias refers to it.
    """
    # Import boto3 only when the command runs. boto3 is an optional dependency and takes long to import.
    from convoke.cli.deployment import DeploymentError, prune_versions  # noqa: PLC0415 - imports boto3

    try:
        print_rows(pruned._asdict() for pruned in prune_versions(stack, KEPT_VERSIONS))
    except DeploymentError as error:
        raise click.ClickException(str(error)) from error
