"""`convoke webhooks`: check the signature of a webhook request."""

from __future__ import annotations

import sys

import click

from convoke.webhooks.signature_mistakes import find_mistakes


@click.group()
def webhooks() -> None:
    """Check webhook requests."""


@webhooks.command("verify")
@click.option("--url", required=True, help="URL of the request as the receiver saw it, with the query string.")
@click.option(
    "--token",
    required=True,
    envvar="CONVOKE_AUTH_TOKEN",
    show_envvar=True,
    help="Auth Token of the account. Prefer the environment variable, because shells store commands in their history.",
)
@click.option("--signature", required=True, help="Value of the header X-Twilio-Signature.")
@click.pass_context
def webhooks_verify(context: click.Context, url: str, token: str, signature: str) -> None:
    """Check whether a signature matches a webhook request.

    The command reads the body of the request from stdin. If the signature matches, the exit code is 0. Otherwise the
    exit code is 1, and the command prints the common mistakes that explain the difference.
    """
    body = "" if sys.stdin.isatty() else sys.stdin.read()
    try:
        mistakes = find_mistakes(url, body, token, signature)
    except ValueError as error:
        raise click.BadParameter("The URL must have a valid host.", context, param_hint="--url") from error
    if mistakes == []:
        click.echo("The signature matches.")
        return
    click.echo("The signature does not match.")
    if mistakes is None:
        click.echo("No common mistake explains the difference. Check that the token is the Auth Token of this account.")
    for mistake in mistakes or []:
        click.echo(f"- {mistake}")
    context.exit(1)
