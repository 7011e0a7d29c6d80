"""Define the option `--stack`, and open the installation that a command manages: a data file or an AWS deployment."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Protocol

import click

from convoke.cli.data_file import open_engine
from convoke.lean_dataclass import lean_dataclass

if TYPE_CHECKING:
    from convoke.operations.accounts import AccountOperations
    from convoke.operations.events import EventOperations
    from convoke.program import Program

stack_option = click.option(
    "--stack",
    metavar="NAME",
    # Click processes eager options first, so the callback of --data can read the value of --stack.
    is_eager=True,
    help="Use the AWS deployment with this stack name instead of a data file. The AWS credentials and the region come"
    " from the environment, such as AWS_PROFILE and AWS_REGION, or from the AWS configuration files.",
)


class Letters(Protocol):
    """Gives access to one dead-letter queue, in a data file or on AWS."""

    @property
    def name(self) -> str:
        """The name of the dead-letter queue in the output of the commands, such as `delivery`."""

    def bodies(self) -> Sequence[str]:
        """Return the bodies of the queue messages. The queue messages stay in the dead-letter queue."""

    def consume(self, handle: Callable[[str], bool]) -> int:
        """Call `handle` with the body of each queue message. If `handle` returns True, delete the queue message.

        Return how many queue messages were deleted.
        """


class DeadLetters(Letters, Protocol):
    """Gives access to a dead-letter queue whose queue messages can move back to the original queue."""

    def redrive(self, rewrite: Callable[[str], str]) -> int:
        """Move every queue message back to its original queue. Return how many queue messages were moved.

        `rewrite` converts the body of a queue message to the new body.
        """


@lean_dataclass
class Installation:
    """A data file or an AWS deployment, with the program that reads and writes its data."""

    description: str
    """How error texts name the installation, for example `the stack convoke`."""
    program: Program
    dead_letters: Callable[[], Sequence[DeadLetters]]
    change_dead_letters: Callable[[], Letters]
    """Opens the dead-letter queue of changes.

    A dead letter in this queue identifies changes whose events are not on the event bus.
    """

    @property
    def accounts(self) -> AccountOperations:
        return self.program.accounts

    @property
    def events(self) -> EventOperations:
        return self.program.events

    def account_sid(self, given: str | None) -> str:
        """Return the Account SID `given`. If `given` is None, return the SID of the oldest account.

        Raise ClickException if the account does not exist.
        """
        if given is None:
            account, wanted = next(iter(self.accounts.accounts.list()), None), "account"
        else:
            account, wanted = self.accounts.accounts.fetch(given), f"account {given}"
        if account is None:
            raise self.missing(wanted)
        return account.sid

    def missing(self, thing: str) -> click.ClickException:
        """Return an exception that reports that `thing` does not exist in this installation."""
        return click.ClickException(f"there is no {thing} in {self.description}")


@contextmanager
def open_installation(data: str, stack: str | None) -> Iterator[Installation]:
    """Open the AWS deployment `stack`, or the data file if `stack` is None.

    Raise ClickException if this fails, or if AWS reports an error inside the `with` block.
    """
    if stack is None:
        with open_engine(data) as engine:
            yield Installation(data, engine.program, lambda: [engine.dead_letters], lambda: engine.change_dead_letters)
        return
    # Import here, because boto3 is an optional dependency that takes long to import.
    from convoke.cli.deployment import DeploymentError, open_deployment  # noqa: PLC0415 - imports boto3

    try:
        with open_deployment(stack) as deployment:
            yield Installation(
                f"the stack {stack}", deployment.program, deployment.dead_letters, deployment.change_dead_letters
            )
    except DeploymentError as error:
        raise click.ClickException(str(error)) from error
