"""The command line: `convoke up` and `convoke demo`; what else there is stands in modules of its own."""

from __future__ import annotations

import json
import logging
import os
import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

import click

from convoke.cli import accounts as account_cli
from convoke.cli import events as event_cli
from convoke.cli import webhooks as webhook_cli
from convoke.cli.data_file import alone_on, data_option, engine_on
from convoke.embedded.data_format import MEMORY

if TYPE_CHECKING:
    from convoke.embedded.engine import EmbeddedEngine

SWITCH_INTERVAL_SECONDS = 0.0005
"""Seconds a thread computes before it yields to one that waits; sqlite3 has to ask for its turn at every step."""

SNIPPET = """\
  from twilio.rest import Client
  client = Client("{account_sid}", "{auth_token}")
  client.conversations.base_url = "{url}"
  client.conversations.v1.conversation_with_participants.create(participant=['{{"identity": "alice"}}'])
"""


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="convoke")
def main() -> None:
    """An API compatible with Twilio Conversations v1, on this machine."""


@main.command()
@click.option("--host", default="127.0.0.1", show_default=True, help="The address to listen on.")
@click.option("--port", default=8000, show_default=True, type=click.IntRange(0, 65535), help="0 takes any free port.")
@data_option
@click.option("--json", "as_json", is_flag=True, help="Print one line of JSON once it listens; logs go to stderr.")
@click.option(
    "--engine",
    type=click.Choice(["embedded", "aws"]),
    default="embedded",
    show_default=True,
    help="aws deploys template.yaml into an AWS on this machine; it keeps nothing, and wants a checkout.",
)
@click.option("--trust-forwarded", is_flag=True, help="Believe X-Forwarded-Proto and -Host, behind a proxy of yours.")
@click.option("--test-clock", is_flag=True, help="Serve /convoke/v1/Clock, by which time is made to pass.")
def up(host: str, port: int, data: str, engine: str, *, as_json: bool, trust_forwarded: bool, test_clock: bool) -> None:
    """Start the API and everything behind it, until Ctrl-C."""
    configure_logging()
    if engine == "embedded":
        up_embedded(host, port, data, as_json=as_json, trust_forwarded=trust_forwarded, test_clock=test_clock)
    elif test_clock:
        raise click.ClickException("--test-clock is for the embedded engine only")
    else:
        up_on_aws(port, as_json=as_json)


def up_on_aws(port: int, *, as_json: bool) -> None:
    from convoke.cli.ministack import StackError, deployed

    stopped = threading.Event()
    for each in (signal.SIGINT, signal.SIGTERM):
        signal.signal(each, lambda *_: stopped.set())
    try:
        with deployed(port) as stack:
            ready = {"url": stack.url, "account_sid": stack.account_sid, "auth_token": stack.auth_token}
            announce({**ready, "pid": os.getpid(), "data": MEMORY}, as_json=as_json)
            stopped.wait()
    except StackError as error:
        raise click.ClickException(str(error)) from error


def up_embedded(host: str, port: int, data: str, *, as_json: bool, trust_forwarded: bool, test_clock: bool) -> None:
    from convoke.cli.credentials import first_account
    from convoke.embedded.clock import MovableClock
    from convoke.embedded.server import Server, listening_socket

    sys.setswitchinterval(SWITCH_INTERVAL_SECONDS)
    clock = MovableClock() if test_clock else None
    with refusing_clearly(), alone_on(data), engine_on(data, clock) as engine, listening_socket(host, port) as listener:
        account, token = first_account(engine.accounts, os.environ)
        address = listener.getsockname()
        ready: dict[str, str | int] = {
            "url": f"http://{f'[{host}]' if ':' in host else host}:{address[1]}",
            "account_sid": account.sid,
            "auth_token": token,
            "pid": os.getpid(),
            "data": data,
        }
        server = Server(
            engine.gateway(trust_forwarded=trust_forwarded),
            lambda: begin(engine, ready, as_json=as_json),
            engine.stop,
        )
        server.run(sockets=[listener])


def begin(engine: EmbeddedEngine, ready: dict[str, str | int], *, as_json: bool) -> None:
    engine.start()
    announce(ready, as_json=as_json)


def announce(ready: dict[str, str | int], *, as_json: bool) -> None:
    if as_json:
        click.echo(json.dumps(ready))
        return
    kept = "keeps nothing" if ready["data"] == MEMORY else f"keeps its data in {ready['data']}"
    click.echo(f"Convoke listens on {ready['url']} and {kept}")
    click.echo(f"  Account SID  {ready['account_sid']}\n  Auth Token   {ready['auth_token']}\n")
    click.echo(f"Paste into Python:\n\n{SNIPPET.format(**ready)}")
    click.echo("Ctrl-C stops it.")


@main.command()
def demo() -> None:
    """Call two groups together with the official SDK, and watch."""
    from convoke.cli.demo import run

    sys.exit(0 if run(click.echo) else 1)


main.add_command(account_cli.account)
main.add_command(account_cli.key)
main.add_command(event_cli.events)
main.add_command(event_cli.dlq)
main.add_command(webhook_cli.webhooks)


@contextmanager
def refusing_clearly() -> Iterator[None]:
    """One line and exit 1 for what the user can mend."""
    from convoke.cli.credentials import CredentialsError
    from convoke.embedded.server import CannotListenError

    try:
        yield
    except (CannotListenError, CredentialsError) as error:
        raise click.ClickException(str(error)) from error


def configure_logging() -> None:
    """Warnings and errors of Convoke and its server, on stderr."""
    from convoke.observability import ConsoleFormatter

    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(ConsoleFormatter())
    logging.basicConfig(level=logging.WARNING, handlers=[handler])
