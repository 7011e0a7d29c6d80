"""`convoke data`: check and back up a data file. An instance may run on the data file at the same time."""

from __future__ import annotations

from pathlib import Path

import click

from convoke.cli.data_file import resolve_existing_data, the_data_option
from convoke.cli.output import print_object
from convoke.embedded.data_format import MEMORY, DataFileError, back_up, find_damage


def resolve_data_on_disk(context: click.Context, parameter: click.Parameter, data: str) -> str:
    """Return the absolute path of a data file. Raise ClickException for `:memory:`, or if the file does not exist."""
    if data == MEMORY:
        raise click.ClickException(f"{MEMORY} is not a data file")
    return resolve_existing_data(context, parameter, data)


disk_option = the_data_option(callback=resolve_data_on_disk, help="Data file.")


@click.group()
def data() -> None:
    """Check and back up a data file.

    An instance may run on the data file at the same time.
    """


@data.command("check")
@disk_option
def data_check(data: str) -> None:
    """Run SQLite's integrity check on the data file.

    The command prints the problems that SQLite finds. The exit code is 0 if there are no problems, otherwise 1.
    """
    try:
        problems = find_damage(data)
    except DataFileError as error:
        raise click.ClickException(str(error)) from error
    print_object({"data": data, "problems": problems})
    if problems:
        raise click.exceptions.Exit(1)


@data.command("backup")
@click.argument("path", type=click.Path(dir_okay=False, path_type=Path))
@disk_option
def data_backup(path: Path, data: str) -> None:
    """Copy the data file to the new file PATH.

    The command uses SQLite's online backup. The copy contains the data of one moment, and a running instance is not
    blocked. Only the owner of the copy can read the copy, because the copy contains Auth Tokens.

    The content of media is not in the data file: copy the folder DATA.media afterwards.
    """
    backup = str(path.expanduser().absolute())
    try:
        back_up(data, backup)
    except DataFileError as error:
        raise click.ClickException(str(error)) from error
    print_object({"data": data, "backup": backup})
