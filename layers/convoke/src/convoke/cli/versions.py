"""`convoke versions`: delete old versions of the functions of an AWS deployment."""

from __future__ import annotations

import click

from convoke.cli.output import print_rows

KEPT_VERSIONS = 2
"""How many of the newest versions of each function are kept.

The alias uses the newest version. An operator can go back to the version before.
"""


STACK_HELP = (
    "Name of the stack of the AWS deployment. The AWS credentials and the region come from the environment, such as"
    " AWS_PROFILE and AWS_REGION, or from the AWS configuration files."
)


@click.group()
def versions() -> None:
    """Delete old versions of the functions of an AWS deployment."""


@versions.command("prune")
@click.option("--stack", metavar="NAME", required=True, help=STACK_HELP)
def versions_prune(stack: str) -> None:
    """Delete all but the last two versions of each function.

    `sam deploy` publishes new versions and keeps the old versions, and AWS charges for the snapshot of each version.
    The command never deletes a version to which an alias refers.
    """
    # Import here, because boto3 is an optional dependency that takes long to import.
    from convoke.cli.deployment import DeploymentError, prune_versions  # noqa: PLC0415 - imports boto3

    try:
        print_rows(pruned._asdict() for pruned in prune_versions(stack, KEPT_VERSIONS))
    except DeploymentError as error:
        raise click.ClickException(str(error)) from error
