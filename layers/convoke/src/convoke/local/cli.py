"""The command line: `convoke up`, `convoke demo`, `convoke account`."""

from __future__ import annotations

import json
import logging
import os
import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import click
import platformdirs
from click.core import ParameterSource

from convoke.storage.sqlite import MEMORY

if TYPE_CHECKING:
    from convoke.local.engine import EmbeddedEngine
    from convoke.operations.accounts import AccountOperations

SWITCH_INTERVAL = 0.0005
"""Seconds a thread computes before it yields to one that waits; sqlite3 has to ask for its turn at every step."""

SNIPPET = """\
  from twilio.rest import Client
  client = Client("{account_sid}", "{auth_token}")
  client.conversations.base_url = "{url}"
  client.conversations.v1.conversation_with_participants.create(participant=['{{"identity": "alice"}}'])
"""


def default_data() -> str:
    return str(platformdirs.user_data_path("convoke", appauthor=False) / "convoke.db")


def resolve_data(context: click.Context, _: click.Parameter, data: str) -> str:
    """The whole path, as it is told and used; commands that only look want a file that is there."""
    if context.params.get("stack") is not None:
        if context.get_parameter_source("data") is ParameterSource.COMMANDLINE:
            raise click.ClickException("--data and --stack exclude each other")
        return data
    if data == MEMORY:
        return data
    path = Path(data).expanduser().absolute()
    if context.command.name in ("list", "rotate-token") and not path.exists():
        raise click.ClickException(f"there is no data file {path}")
    return str(path)


data_option = click.option(
    "--data",
    metavar="PATH",
    default=default_data,
    callback=resolve_data,
    show_default="convoke.db in your data folder",
    help='The data file; ":memory:" keeps nothing.',
)

stack_option = click.option(
    "--stack",
    metavar="NAME",
    # So it is known when --data is looked at.
    is_eager=True,
    help="Instead of a data file, a deployment on AWS: its stack, where your AWS_PROFILE, AWS_REGION and so on say.",
)


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
def up(host: str, port: int, data: str, engine: str, *, as_json: bool, trust_forwarded: bool) -> None:
    """Start the API and everything behind it, until Ctrl-C."""
    configure_logging()
    if engine == "aws":
        up_on_aws(port, as_json=as_json)
    else:
        up_embedded(host, port, data, as_json=as_json, trust_forwarded=trust_forwarded)


def up_on_aws(port: int, *, as_json: bool) -> None:
    from convoke.local.aws_stack import StackError, deployed

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


def up_embedded(host: str, port: int, data: str, *, as_json: bool, trust_forwarded: bool) -> None:
    from convoke.local.credentials import first_account
    from convoke.local.gateway import Gateway
    from convoke.local.server import Server, listening_socket

    sys.setswitchinterval(SWITCH_INTERVAL)
    with refusing_clearly(), alone_on(data), engine_on(data) as engine, listening_socket(host, port) as listener:
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
            Gateway(engine.api, engine.turnstile, trust_forwarded=trust_forwarded),
            lambda: announce(ready, as_json=as_json),
        )
        engine.start()
        server.run(sockets=[listener])


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
    from convoke.local.demo import run

    sys.exit(0 if run(click.echo) else 1)


@main.group()
def account() -> None:
    """The accounts in a data file, or of a deployment on AWS."""


@account.command("create")
@data_option
@stack_option
def account_create(data: str, stack: str | None) -> None:
    """Make an account, with its default service and Messaging Service."""
    from convoke.operations.accounts import new_token

    with accounts_in(data, stack) as accounts:
        token = new_token()
        created = accounts.create(token=token)
        click.echo(json.dumps({**created.model_dump(mode="json"), "auth_token": token}))


@account.command("list")
@data_option
@stack_option
def account_list(data: str, stack: str | None) -> None:
    """Print every account, one line of JSON each, without its token."""
    with accounts_in(data, stack) as accounts:
        for listed in accounts.accounts.list():
            click.echo(listed.model_dump_json())


@account.command("rotate-token")
@click.argument("account_sid")
@data_option
@stack_option
def account_rotate_token(account_sid: str, data: str, stack: str | None) -> None:
    """Give an account a new Auth Token.

    A running instance takes it up within some seconds, a deployment on AWS within about a minute.
    """
    with accounts_in(data, stack) as accounts:
        token = accounts.rotate_token(account_sid)
        if token is None:
            place = data if stack is None else f"the stack {stack}"
            raise click.ClickException(f"there is no account {account_sid} in {place}")
        click.echo(json.dumps({"sid": account_sid, "auth_token": token}))


@contextmanager
def accounts_in(data: str, stack: str | None) -> Iterator[AccountOperations]:
    """Those of a deployment where a stack is named, else those of a data file."""
    if stack is None:
        with refusing_clearly(), engine_on(data) as engine:
            yield engine.accounts
        return
    from convoke.local.deployment import DeploymentError, accounts_of

    try:
        with accounts_of(stack) as accounts:
            yield accounts
    except DeploymentError as error:
        raise click.ClickException(str(error)) from error


class DataInUseError(Exception):
    """Another instance runs on the data file. The message is one line for whoever named it."""


@contextmanager
def alone_on(data: str) -> Iterator[None]:
    """Keeps a second instance away: both would tell webhooks everything, as each works off what is waiting."""
    from filelock import FileLock, Timeout

    if data == MEMORY:
        yield
        return
    make_folder(data)
    try:
        with FileLock(f"{data}.lock", timeout=0):
            yield
    except Timeout as error:
        raise DataInUseError(f"another convoke up runs on {data}") from error


@contextmanager
def engine_on(data: str) -> Iterator[EmbeddedEngine]:
    """An engine that answers; it works off what is waiting only once it is started."""
    from convoke.local.engine import EmbeddedEngine

    if data != MEMORY:
        make_folder(data)
    engine = EmbeddedEngine(data)
    try:
        yield engine
    finally:
        engine.stop()


def make_folder(data: str) -> None:
    """The folder of a data file, for its owner only where it is new."""
    try:
        Path(data).parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        raise click.ClickException(f"{error.filename}: {error.strerror}") from error


@contextmanager
def refusing_clearly() -> Iterator[None]:
    """One line and exit 1 for what the user can mend."""
    from convoke.local.credentials import CredentialsError
    from convoke.local.server import CannotListenError
    from convoke.storage.sqlite import DataFileError

    try:
        yield
    except (CannotListenError, CredentialsError, DataFileError, DataInUseError) as error:
        raise click.ClickException(str(error)) from error


def configure_logging() -> None:
    """Warnings and errors of Convoke and its server, on stderr."""
    from convoke.observability import ConsoleFormatter

    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(ConsoleFormatter())
    logging.basicConfig(level=logging.WARNING, handlers=[handler])
