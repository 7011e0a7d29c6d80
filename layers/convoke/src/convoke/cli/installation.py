"""Where the commands find a program: in a data file, or in a deployment on AWS."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

import click

from convoke.cli.data_file import engine_on

if TYPE_CHECKING:
    from convoke.operations.accounts import AccountOperations
    from convoke.operations.events import EventOperations
    from convoke.program import Program

stack_option = click.option(
    "--stack",
    metavar="NAME",
    # So it is known when --data is looked at.
    is_eager=True,
    help="Instead of a data file, a deployment on AWS: its stack, where your AWS_PROFILE, AWS_REGION and so on say.",
)


class DeadLetters(Protocol):
    """The messages that nobody could handle, of one queue."""

    @property
    def name(self) -> str: ...

    def bodies(self) -> Sequence[str]: ...

    def redrive(self, again: Callable[[str], str]) -> int:
        """Send each to its queue, as `again` makes it of its body, and remove it here; answers how many those were."""


@dataclass(frozen=True, slots=True)
class Place:
    told: str
    """What messages call it."""
    program: Program
    dead_letters: Callable[[], Sequence[DeadLetters]]

    @property
    def accounts(self) -> AccountOperations:
        return self.program.accounts

    @property
    def events(self) -> EventOperations:
        return self.program.events

    def account_sid(self, named: str | None) -> str:
        """The SID that is given, or that of the oldest account. Raises ClickException where there is none."""
        if named is None:
            known, wanted = next(iter(self.accounts.accounts.list()), None), "account"
        else:
            known, wanted = self.accounts.accounts.fetch(named), f"account {named}"
        if known is None:
            raise self.missing(wanted)
        return known.sid

    def missing(self, what: str) -> click.ClickException:
        return click.ClickException(f"there is no {what} in {self.told}")


@contextmanager
def open_installation(data: str, stack: str | None) -> Iterator[Place]:
    """A deployment where a stack is named, else a data file."""
    if stack is None:
        with engine_on(data) as engine:
            yield Place(data, engine.program, lambda: [engine.dead_letters])
        return
    from convoke.cli.deployment import DeploymentError, deployment_of

    try:
        with deployment_of(stack) as deployment:
            yield Place(f"the stack {stack}", deployment.program, deployment.dead_letters)
    except DeploymentError as error:
        raise click.ClickException(str(error)) from error
