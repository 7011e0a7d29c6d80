"""The data file, as commands name it and open it."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import click
import platformdirs
from click.core import ParameterSource

from convoke.embedded.data_format import MEMORY, DataFileError

if TYPE_CHECKING:
    from convoke.embedded.clock import MovableClock
    from convoke.embedded.engine import EmbeddedEngine


def default_data() -> str:
    return str(platformdirs.user_data_path("convoke", appauthor=False) / "convoke.db")


def resolve_data(context: click.Context, _: click.Parameter, data: str) -> str:
    """The whole path, as it is told and used."""
    if context.params.get("stack") is not None:
        if context.get_parameter_source("data") is ParameterSource.COMMANDLINE:
            raise click.ClickException("--data and --stack exclude each other")
        return data
    return data if data == MEMORY else str(Path(data).expanduser().absolute())


def resolve_existing_data(context: click.Context, parameter: click.Parameter, data: str) -> str:
    """The same for a file that is there."""
    path = resolve_data(context, parameter, data)
    if context.params.get("stack") is None and path != MEMORY and not Path(path).exists():
        raise click.ClickException(f"there is no data file {path}")
    return path


_option = partial(
    click.option,
    "--data",
    metavar="PATH",
    default=default_data,
    show_default="convoke.db in your data folder",
    help='The data file; ":memory:" keeps nothing.',
)

data_option = _option(callback=resolve_data)

existing_data_option = _option(callback=resolve_existing_data)
"""For commands that need what is in the file: where there is none, they make none."""


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
        raise click.ClickException(f"another convoke up runs on {data}") from error


@contextmanager
def engine_on(data: str, movable_clock: MovableClock | None = None) -> Iterator[EmbeddedEngine]:
    """An engine that answers; it works off what is waiting only once it is started."""
    from pydantic import ValidationError

    from convoke.embedded.engine import EmbeddedEngine

    if data != MEMORY:
        make_folder(data)
    try:
        engine = EmbeddedEngine(data, movable_clock=movable_clock, environ=os.environ)
    except DataFileError as error:
        raise click.ClickException(str(error)) from error
    except ValidationError as error:
        problems = "; ".join(f"{'.'.join(map(str, each['loc']))}: {each['msg']}" for each in error.errors())
        raise click.ClickException(f"CONVOKE_PROVISIONING_* in the environment: {problems}") from error
    try:
        yield engine
    finally:
        engine.close()


def make_folder(data: str) -> None:
    """The folder of a data file, for its owner only where it is new."""
    try:
        Path(data).parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        raise click.ClickException(f"{error.filename}: {error.strerror}") from error
