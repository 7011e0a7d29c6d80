"""Define the option `--data` for the path of a data file, and open the embedded engine on this file."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import click
from click.core import ParameterSource
from pydantic import ValidationError

from convoke.api.origins import InvalidOriginError
from convoke.config import InvalidSettingError
from convoke.embedded.clock import MovableClock
from convoke.embedded.data_format import MEMORY, DataFileError
from convoke.embedded.engine import EmbeddedEngine
from convoke.embedded.observation import Observers

if TYPE_CHECKING:
    from click.types import OptionHelpExtra


def default_data() -> str:
    """Return the path of the default data file, in the user data directory of the operating system."""
    # Import here, because platformdirs takes 5 ms and 0.3 MB. A command that gets --data starts without platformdirs.
    import platformdirs  # noqa: PLC0415 - see above

    return str(platformdirs.user_data_path("convoke", appauthor=False) / "convoke.db")


class DataOption(click.Option):
    """An option whose help shows the path of the default data file."""

    def get_help_extra(self, ctx: click.Context) -> OptionHelpExtra:
        return {**super().get_help_extra(ctx), "default": default_data()}


def resolve_data(context: click.Context, _: click.Parameter, data: str) -> str:
    """Return the absolute path of the data file. Raise ClickException if the user gives both --data and --stack.

    With --stack or `:memory:`, return `data` unchanged.
    """
    if context.params.get("stack") is not None:
        if context.get_parameter_source("data") is ParameterSource.COMMANDLINE:
            raise click.ClickException("--data and --stack cannot be used together")
        return data
    return data if data == MEMORY else str(Path(data).expanduser().absolute())


def resolve_existing_data(context: click.Context, parameter: click.Parameter, data: str) -> str:
    """Do the same as `resolve_data`, and also raise ClickException if the data file does not exist.

    With --stack or `:memory:`, no data file is necessary.
    """
    path = resolve_data(context, parameter, data)
    if context.params.get("stack") is None and path != MEMORY and not Path(path).exists():
        raise click.ClickException(f"there is no data file {path}")
    return path


the_data_option = partial(
    click.option,
    "--data",
    cls=DataOption,
    metavar="PATH",
    default=default_data,
    help="Path of the data file.",
)
"""The option `--data` without a callback. Pass a callback that resolves the path, such as `resolve_data`."""

data_option = the_data_option(
    callback=resolve_data, help="Path of the data file. With :memory:, the data is lost when the command ends."
)
"""The option for commands that create a missing data file."""

existing_data_option = the_data_option(callback=resolve_existing_data)
"""The option for commands that create no data file. The file must exist, except with `:memory:` or --stack."""


@contextmanager
def open_engine(data: str) -> Iterator[EmbeddedEngine]:
    """Open an engine, and close it at the end of the `with` block. Raise the same errors as `new_engine`.

    The engine accepts requests, but processes queues only after a call of `start`, or during a call of `work`.
    """
    engine = new_engine(data)
    try:
        yield engine
    finally:
        engine.close()


def new_engine(
    data: str,
    *,
    has_movable_clock: bool = False,
    reset: Callable[[], None] | None = None,
    observers: Observers | None = None,
) -> EmbeddedEngine:
    """Create an engine on a data file. See `EmbeddedEngine` for `reset` and `observers`.

    Raise ClickException if the data file or an environment variable is invalid, or if the folder of the data file
    cannot be created.
    """
    if data != MEMORY:
        create_folder(data)
    clock = MovableClock() if has_movable_clock else None
    try:
        return EmbeddedEngine(data, movable_clock=clock, environ=os.environ, reset=reset, observers=observers)
    except (DataFileError, InvalidSettingError) as error:
        raise click.ClickException(str(error)) from error
    except ValidationError as error:
        problems = "; ".join(f"{'.'.join(map(str, each['loc']))}: {each['msg']}" for each in error.errors())
        raise click.ClickException(f"a variable CONVOKE_PROVISIONING_* is invalid: {problems}") from error
    except InvalidOriginError as error:
        raise click.ClickException(f"CONVOKE_ALLOWED_ORIGINS: {error}") from error


def create_folder(data: str) -> None:
    """Create the folder of a data file if it does not exist. Only the owner can read the new folder.

    Missing parent folders get the default permissions. Raise ClickException if the folder cannot be created.
    """
    try:
        Path(data).parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        raise click.ClickException(f"{error.filename}: {error.strerror}") from error
