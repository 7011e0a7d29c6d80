"""Define the command `convoke`. The module of a command is imported only if the command line names this command.

Importing the embedded engine, boto3 and the Twilio SDK takes up to a second. `convoke --help` imports none of these
packages.
"""

from __future__ import annotations

import gc
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from importlib import import_module
from typing import Any, NamedTuple

import click
from click.shell_completion import CompletionItem

DISTRIBUTION = "convoke-conversations"
"""The name of Convoke's distribution package, as pip shows it."""

EXTRAS = {"aws_lambda_powertools": "aws", "boto3": "aws", "botocore": "aws", "twilio": "testing", "yaml": "aws"}
"""Maps each optional package to the extra that installs the package. Each key is the package's import name."""


class LazyCommand(NamedTuple):
    """A command that is not yet imported."""

    path: str
    """The module and the attribute of the command, such as `convoke.cli.up:up`."""
    summary: str
    """The first sentence of the command's help, for the list of commands."""


COMMANDS = {
    "account": LazyCommand("convoke.cli.accounts:account", "Manage the accounts of a data file or an AWS deployment."),
    "console": LazyCommand(
        "convoke.cli.console:console", "Print a link that signs you in to the console of a running instance."
    ),
    "data": LazyCommand("convoke.cli.data:data", "Check and back up a data file."),
    "demo": LazyCommand("convoke.cli.demo:demo", "Run a demo with the Twilio SDK and print every step."),
    "dlq": LazyCommand("convoke.cli.dlq:dlq", "List and redrive the messages in dead-letter queues."),
    "env": LazyCommand("convoke.cli.env:env", "Print the Account SID and the Auth Token as environment variables."),
    "events": LazyCommand("convoke.cli.events:events", "List, show and replay events."),
    "key": LazyCommand("convoke.cli.api_keys:key", "Manage the API keys of an account."),
    "listen": LazyCommand("convoke.cli.listen:listen", "Print each new event of an account until you press Ctrl-C."),
    "phone": LazyCommand("convoke.cli.phones:phone", "Send and read messages as a simulated phone."),
    "sender": LazyCommand(
        "convoke.cli.senders:sender", "Manage the business addresses of accounts and their carriers."
    ),
    "table": LazyCommand("convoke.cli.tables:table", "Prepare a DynamoDB table for a new AWS deployment."),
    "up": LazyCommand("convoke.cli.up:up", "Run the API on this machine until you press Ctrl-C."),
    "versions": LazyCommand(
        "convoke.cli.versions:versions", "Delete old versions of the functions of an AWS deployment."
    ),
    "webhooks": LazyCommand("convoke.cli.webhooks:webhooks", "Check webhook requests."),
}
"""Maps the name of each command to the command. A test compares the summaries with the help texts."""


@contextmanager
def rare_garbage_collection() -> Iterator[None]:
    """Let the garbage collector run rarely during the block. The block imports modules, which create little garbage.

    Without this function, the garbage collector takes 3 % of the time until `convoke up` is ready.
    """
    thresholds = gc.get_threshold()
    gc.set_threshold(20_000)
    try:
        yield
    finally:
        gc.set_threshold(*thresholds)


class LazyGroup(click.Group):
    """A click group that imports a command at its first use.

    The example in click's documentation imports every command to list the commands. This class lists the summaries in
    `lazy_commands` instead. See https://click.palletsprojects.com/en/stable/complex/#lazily-loading-subcommands.
    """

    def __init__(self, *args: Any, lazy_commands: Mapping[str, LazyCommand], **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._lazy_commands = lazy_commands

    def invoke(self, ctx: click.Context) -> Any:
        """Run the command. If an optional package is missing, raise ClickException, which names the package's extra."""
        # Without this variable, pydantic reads the metadata of every installed package to find plugins.
        os.environ.setdefault("PYDANTIC_DISABLE_PLUGINS", "__all__")
        try:
            return super().invoke(ctx)
        except ModuleNotFoundError as error:
            extra = EXTRAS.get((error.name or "").partition(".")[0])
            if extra is None:
                raise
            raise click.ClickException(
                f"this command needs the extra `{extra}`: install Convoke with this extra, in a checkout with"
                " `make setup`"
            ) from error

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002 - click's signature
        return sorted(self._lazy_commands)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002 - click's signature
        lazy = self._lazy_commands.get(cmd_name)
        if lazy is None:
            return None
        module, _, attribute = lazy.path.partition(":")
        with rare_garbage_collection():
            command: click.Command = getattr(import_module(module), attribute)
        return command

    def shell_complete(self, ctx: click.Context, incomplete: str) -> list[CompletionItem]:
        """Complete the names of commands and options without importing the commands."""
        names = [name for name in self.list_commands(ctx) if name.startswith(incomplete)]
        commands = [CompletionItem(name, help=self._lazy_commands[name].summary) for name in names]
        return [*commands, *click.Command.shell_complete(self, ctx, incomplete)]

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl([(name, self._lazy_commands[name].summary) for name in self.list_commands(ctx)])


@click.group(cls=LazyGroup, lazy_commands=COMMANDS, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name=DISTRIBUTION)
def main() -> None:
    """Run and manage Convoke, an API compatible with Twilio Conversations v1."""
