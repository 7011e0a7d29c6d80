"""`convoke up`: start the API on the embedded engine, or deploy the template to MiniStack."""

from __future__ import annotations

import gc
import json
import logging
import os
import shlex
import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from functools import partial

import click

from convoke.api.console import PATH
from convoke.cli.console import console_link
from convoke.cli.credentials import SID_VARIABLE, CredentialsError, first_account
from convoke.cli.data_file import create_folder, data_option, default_data, new_engine
from convoke.cli.file_lock import file_lock
from convoke.cli.traffic import Traffic
from convoke.embedded.data_format import MEMORY, cannot_be_opened
from convoke.embedded.instance import Instance
from convoke.embedded.server import CannotListenError, Server, listening_socket
from convoke.observability import ConsoleFormatter, JsonFormatter
from convoke.operations import webhook_delivery

SWITCH_INTERVAL_SECONDS = 0.0005
"""How long a thread may run before it must give the interpreter to a waiting thread.

The sqlite3 module releases the interpreter for every row that it reads. Another thread can then take the interpreter.
With Python's default, the reading thread would get the interpreter back only after 5 ms. See
https://docs.python.org/3/library/sys.html#sys.setswitchinterval.
"""

SNIPPET = """\
  from twilio.rest import Client
  client = Client("{account_sid}", "{auth_token}")
  client.conversations.base_url = "{url}"
  client.conversations.v1.conversation_with_participants.create(participant=['{{"identity": "alice"}}'])
"""


@click.command()
@click.option("--host", default="127.0.0.1", show_default=True, help="Address to listen on.")
@click.option(
    "--port",
    default=8000,
    show_default=True,
    type=click.IntRange(0, 65535),
    help="Port to listen on. Use 0 for any free port.",
)
@data_option
@click.option(
    "--json", "as_json", is_flag=True, help="Print one line of JSON when the API is ready. Logs always go to stderr."
)
@click.option(
    "--engine",
    type=click.Choice(["embedded", "aws"]),
    default="embedded",
    show_default=True,
    help="Engine that runs the API. `aws` deploys template.yaml to MiniStack, an AWS emulator on this machine. This"
    " engine requires a checkout of Convoke, keeps no data, prints no lines about requests, and ignores --data,"
    " --account-sid and --trust-forwarded.",
)
@click.option(
    "--sam-local",
    is_flag=True,
    help="Write environment variables and events for `sam local invoke` to .aws-sam/local. Requires --engine aws. With"
    " Docker on Linux, also use --host 172.17.0.1.",
)
@click.option(
    "--trust-forwarded",
    is_flag=True,
    help="Trust the headers X-Forwarded-Proto and X-Forwarded-Host. Use this option only behind your own proxy.",
)
@click.option(
    "--account-sid",
    metavar="SID",
    envvar=SID_VARIABLE,
    show_envvar=True,
    help="Account to use. If the account does not exist, Convoke creates the account. The default is the oldest account"
    " in the data file, or a new account if the data file has none.",
)
@click.option("--test-clock", is_flag=True, help="Serve /convoke/v1/Clock, with which tests move the clock forward.")
@click.option(
    "--test-controls",
    is_flag=True,
    help="Serve the test controls below /convoke/v1: Reset, Accounts, Settle, Failures and Clock. Every account may use"
    " the test controls. Reset deletes all data. The first account keeps its SID and its Auth Token.",
)
@click.option("--quiet", is_flag=True, help="Do not print lines about requests and deliveries. --json implies --quiet.")
@click.option(
    "--log-format",
    type=click.Choice(["text", "json"]),
    default="text",
    show_default=True,
    help="Format of all output. With `json`, each line is a JSON object.",
)
def up(
    host: str,
    port: int,
    data: str,
    engine: str,
    account_sid: str | None,
    *,
    as_json: bool,
    sam_local: bool,
    trust_forwarded: bool,
    test_clock: bool,
    test_controls: bool,
    quiet: bool,
    log_format: str,
) -> None:
    """Run the API on this machine until you press Ctrl-C.

    The command prints one line to stdout for each request, for each attempt to deliver an event to a webhook, and for
    the connections and changes of chat clients. The lines contain no names, addresses, identities or queries. Warnings
    and errors go to stderr.

    The embedded engine reads these environment variables:

    CONVOKE_AUTH_TOKEN: Auth Token of the account. This Auth Token permanently replaces the stored Auth Token. By
    default, a new account gets a random Auth Token.

    CONVOKE_PROVISIONING_ATTEMPTS: how many times Convoke tries to add the participants of a conversation before Convoke
    closes the conversation. The default is 8.

    CONVOKE_PROVISIONING_FIRST_PAUSE: pause before the first retry, as an ISO 8601 duration. Each later pause is twice
    as long as the previous pause. The default is PT10S.

    CONVOKE_PROVISIONING_LONGEST_PAUSE: maximum pause between two retries. The default is PT10M.

    CONVOKE_SYNCHRONOUS: `normal` (the default) or `full`. With `full`, a power failure loses no stored change, but each
    change takes longer.

    CONVOKE_ALLOWED_ORIGINS: origins whose pages may use the API in a browser, separated by commas. By default, only
    pages of the API's own origin, such as the console, may use the API in a browser.

    CONVOKE_PUBLIC_URL: base URL at which clients and carriers reach the API, if a proxy or a tunnel is in front of it.
    """
    configure_logging(data, as_json=log_format == "json")
    traffic_format = None if quiet or as_json else log_format
    as_json = as_json or log_format == "json"
    if engine == "embedded" and sam_local:
        raise click.ClickException("--sam-local requires --engine aws")
    if engine == "embedded":
        up_embedded(
            host,
            port,
            data,
            account_sid,
            as_json=as_json,
            trust_forwarded=trust_forwarded,
            test_clock=test_clock or test_controls,
            test_controls=test_controls,
            traffic_format=traffic_format,
        )
    elif test_clock or test_controls:
        option = "--test-controls" if test_controls else "--test-clock"
        raise click.ClickException(f"{option} requires --engine embedded")
    else:
        up_on_aws(host, port, as_json=as_json, sam_local=sam_local)


def up_on_aws(host: str, port: int, *, as_json: bool, sam_local: bool) -> None:
    """Deploy the template to MiniStack, and wait for SIGINT or SIGTERM."""
    # Import here, because both modules import boto3, which is an optional dependency.
    from convoke.cli.ministack import LOOPBACK, StackError, deployed  # noqa: PLC0415 - see above
    from convoke.cli.sam_local import FOLDER, command, write_files  # noqa: PLC0415 - see above

    if host != LOOPBACK:
        click.echo(f"MiniStack checks no credentials. Every client that reaches {host} can use MiniStack.", err=True)
    stopped = threading.Event()
    for each in (signal.SIGINT, signal.SIGTERM):
        signal.signal(each, lambda *_: stopped.set())
    try:
        with deployed(port, host) as stack:
            if sam_local:
                write_files(stack)
            ready = {"url": stack.url, "account_sid": stack.account_sid, "auth_token": stack.auth_token}
            ready["console"] = f"{stack.url}{PATH}"
            print_ready({**ready, "pid": os.getpid(), "data": MEMORY}, as_json=as_json)
            if sam_local and not as_json:
                event = FOLDER / "events/api/create_plain.json"
                click.echo(f"\nTo run a function in a container:\n\n  {' '.join(command('ApiFunction', event))}")
            stopped.wait()
    except StackError as error:
        raise click.ClickException(str(error)) from error


def up_embedded(
    host: str,
    port: int,
    data: str,
    account_sid: str | None,
    *,
    as_json: bool,
    trust_forwarded: bool,
    test_clock: bool,
    test_controls: bool,
    traffic_format: str | None,
) -> None:
    """Serve the API on the embedded engine until SIGINT or SIGTERM.

    If `traffic_format` is None, print no lines about requests, deliveries and calls of chat clients. Raise
    ClickException if the instance cannot start, or if the data file is removed or replaced.
    """
    make_engine = partial(new_engine, data, has_movable_clock=test_clock)
    try:
        with lock_data_file(data), ExitStack() as stack:
            sys.setswitchinterval(SWITCH_INTERVAL_SECONDS)
            instance = Instance(make_engine, has_controls=test_controls, trust_forwarded=trust_forwarded)
            stack.enter_context(closing(instance.engine))
            listener = stack.enter_context(listening_socket(host, port))
            account, token = first_account(instance.engine.accounts, account_sid or None, os.environ)
            ready: dict[str, str | int] = {
                # An IPv6 address in a URL needs brackets (RFC 3986, section 3.2.2).
                "url": f"http://{f'[{host}]' if ':' in host else host}:{listener.getsockname()[1]}",
                "account_sid": account.sid,
                "auth_token": token,
                "pid": os.getpid(),
                "data": data,
            }
            ready["console"] = console_link(str(ready["url"]), account.sid, instance.engine.program.console_codes)
            server = Server(instance, partial(start_instance, instance, ready, as_json=as_json), instance.stop)
            instance.on_data_file_gone = server.stop_soon
            with printed_traffic(instance, traffic_format):
                server.run(sockets=[listener])
            if instance.engine.is_data_file_gone:
                raise click.ClickException(
                    f"{data} was removed or replaced while Convoke was running. Convoke has stopped, because nothing"
                    " more could be stored. Restore the file from a backup, or start again with an empty file."
                )
    except CannotListenError as error:
        raise click.ClickException(f"{error}{hint_for_busy_port(host, port) if error.is_busy else ''}") from error
    except CredentialsError as error:
        raise click.ClickException(str(error)) from error


def hint_for_busy_port(host: str, port: int) -> str:
    """Return the end of the error message about a busy port.

    The text names a free port. If the process that uses the port is found, the text also names this process.
    """
    # Only this message needs the module.
    from convoke.cli.listeners import find_listener, next_free_port  # noqa: PLC0415 - see above

    holder = find_listener(port)
    named = f" by {holder.name} (process {holder.pid})" if holder else ""
    return f"{named}; choose another port with --port, such as --port {next_free_port(host, port)}"


@contextmanager
def printed_traffic(instance: Instance, traffic_format: str | None) -> Iterator[None]:
    """Print the lines of `Traffic` during the block. If `traffic_format` is None, print nothing."""
    if traffic_format is None:
        yield
        return
    traffic = Traffic(instance.engine.api.rule_of, as_json=traffic_format == "json")
    instance.observers.add(traffic)
    try:
        yield
    finally:
        traffic.close()


@contextmanager
def lock_data_file(data: str) -> Iterator[None]:
    """Hold the lock of a data file during the block.

    Without the lock, two instances could process the queues of one data file and call every webhook twice. See
    docs/decisions/0013-one-instance-per-data-file.md. A symbolic link and its target share one lock.

    Raise ClickException if another process holds the lock, or if the folder or the lock file cannot be written.
    """
    if data == MEMORY:
        yield
        return
    create_folder(data)
    with ExitStack() as stack:
        try:
            stack.enter_context(file_lock(f"{os.path.realpath(data)}.lock", waits=False))
        except BlockingIOError as error:
            raise click.ClickException(f"another `convoke up` is running on {data}") from error
        except OSError as error:
            raise click.ClickException(str(cannot_be_opened(data, error))) from error
        yield


def start_instance(instance: Instance, ready: dict[str, str | int], *, as_json: bool) -> None:
    """Start the instance on the server's event loop. Then print that the API is ready."""
    instance.start(str(ready["account_sid"]))
    # Most objects that exist now live until the process ends. Without this call, each full garbage collection would
    # visit these objects and stop the event loop for 27 ms.
    gc.freeze()
    print_ready(ready, as_json=as_json)


def print_ready(ready: dict[str, str | int], *, as_json: bool) -> None:
    """Print the URL and the credentials.

    The output is one line of JSON, or a text with Python code that the user can paste.
    """
    if as_json:
        click.echo(json.dumps(ready))
        return
    storage = "Convoke keeps no data." if ready["data"] == MEMORY else f"The data file is {ready['data']}."
    click.echo(f"Convoke listens on {ready['url']}. {storage}")
    click.echo(f"  Account SID  {ready['account_sid']}\n  Auth Token   {ready['auth_token']}\n")
    click.echo(f"To see what happens, open the console:\n\n  {ready['console']}\n")
    click.echo(f"To create a conversation, paste into Python:\n\n{SNIPPET.format(**ready)}")
    click.echo("Press Ctrl-C to stop the API.")


def configure_logging(data: str, *, as_json: bool) -> None:
    """Log warnings and errors of Convoke and of its HTTP server to stderr."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(JsonFormatter() if as_json else ConsoleFormatter())
    handler.addFilter(hide_attempts)
    handler.addFilter(partial(add_command, data))
    logging.basicConfig(level=logging.WARNING, handlers=[handler])


def hide_attempts(record: logging.LogRecord) -> bool:
    """Return False for warnings about failed attempts and paused receivers, so that the log handler drops them.

    Without `--quiet`, the lines about deliveries show each attempt. With `--quiet`, the user does not want to see the
    attempts. If the last attempt fails, `embedded/deliveries.py` logs an error.
    """
    return record.name != webhook_delivery.__name__ or record.levelno >= logging.ERROR


def add_command(data: str, record: logging.LogRecord) -> bool:
    """If a log record is about an event, add the command that shows the event. Return True to keep the log record.

    No command can read data in memory. If `data` is in memory, add a request of the API instead of a command.
    """
    if event_id := getattr(record, "event_id", None):
        record.inspect = f"GET /convoke/v1/Events/{event_id}/Attempts"
        if data != MEMORY:
            option = "" if data == default_data() else f" --data {shlex.quote(data)}"
            record.inspect = f"convoke events show {event_id}{option}"
    return True
