"""Print the results of commands: tables for people on a terminal, and lines of JSON for programs otherwise."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Mapping

import click

MAX_TABLE_ROWS = 1000
"""The maximum number of rows in one table. The column widths depend on all rows, so the rows wait in memory."""


def print_object(values: Mapping[str, object]) -> None:
    """Print one object. On a terminal, each key has its own line."""
    if not sys.stdout.isatty():
        click.echo(json.dumps(values))
        return
    width = max(map(len, values), default=0)
    for name, value in values.items():
        click.echo(f"{click.style(name.ljust(width), bold=True)}  {_text(value)}")


def print_rows(rows: Iterable[Mapping[str, object]]) -> None:
    """Print objects. On a terminal, the objects are the rows of a table."""
    if not sys.stdout.isatty():
        for row in rows:
            click.echo(json.dumps(row))
        return
    waiting: list[Mapping[str, object]] = []
    for row in rows:
        waiting.append(row)
        if len(waiting) == MAX_TABLE_ROWS:
            _print_table(waiting)
            waiting = []
    _print_table(waiting)


def _print_table(rows: list[Mapping[str, object]]) -> None:
    names = list(dict.fromkeys(name for row in rows for name in row))
    cells = [[_text(row.get(name)) for name in names] for row in rows]
    widths = [max(map(len, column)) for column in zip(names, *cells, strict=True)]
    for position, line in enumerate([names, *cells] if rows else []):
        text = "  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip()
        click.echo(click.style(text, bold=True) if position == 0 else text)


def _text(value: object) -> str:
    if value is None:
        return "-"
    return value if isinstance(value, str) else json.dumps(value)
