"""`convoke webhooks`: whether a request is signed as Convoke signs, and why it may not seem so."""

from __future__ import annotations

import sys

import click


@click.group()
def webhooks() -> None:
    """Requests that webhooks got."""


@webhooks.command("verify")
@click.option("--url", required=True, help="As the receiver saw it, with its query.")
@click.option(
    "--token",
    required=True,
    envvar="CONVOKE_AUTH_TOKEN",
    show_envvar=True,
    help="The account's Auth Token; better in the variable, as what is typed is kept.",
)
@click.option("--signature", required=True, help="The value of X-Twilio-Signature.")
@click.pass_context
def webhooks_verify(context: click.Context, url: str, token: str, signature: str) -> None:
    """Say whether a signature fits, and exit 0 if it does. Takes the body of the request, if it has one, from stdin.

    Where it does not fit, says which usual mistake would explain it.
    """
    from convoke.cli.signature_mistakes import mistakes

    body = "" if sys.stdin.isatty() else sys.stdin.read()
    found = mistakes(url, body, token, signature)
    if found == []:
        click.echo("The signature fits.")
        return
    click.echo("The signature does not fit.")
    if found is None:
        click.echo("No usual mistake explains it: look whether the token is the Auth Token of this account.")
    for mistake in found or []:
        click.echo(f"- {mistake}")
    context.exit(1)
