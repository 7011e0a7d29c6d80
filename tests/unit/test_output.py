"""Commands print tables on a terminal. Elsewhere, they print one JSON object per line (cli/output.py)."""

from __future__ import annotations

import io
import json
from collections.abc import Callable
from contextlib import redirect_stdout
from typing import Any

import click
import pytest

from convoke.cli import output
from convoke.cli.output import print_object, print_rows

ROWS: list[dict[str, Any]] = [{"sid": "AC1", "targets": ["account"]}, {"sid": "AC22", "number": None}]


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def on_terminal(print_it: Callable[[], None]) -> list[str]:
    """Return the lines on a terminal, without colours."""
    with redirect_stdout(Terminal()) as terminal:
        print_it()
    return click.unstyle(terminal.getvalue()).splitlines()


def test_programs_get_one_line_of_json_for_each_object(capsys: pytest.CaptureFixture[str]) -> None:
    print_rows(ROWS)
    print_object(ROWS[0])
    assert [json.loads(line) for line in capsys.readouterr().out.splitlines()] == [*ROWS, ROWS[0]]


def test_people_get_a_table() -> None:
    shown = on_terminal(lambda: print_rows(ROWS))
    assert shown == ["sid   targets      number", 'AC1   ["account"]  -', "AC22  -            -"]


def test_long_tables_are_printed_in_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(output, "MAX_TABLE_ROWS", 2)
    shown = on_terminal(lambda: print_rows({"n": number} for number in range(5)))
    assert shown == ["n", "0", "1", "n", "2", "3", "n", "4"]


def test_table_without_rows_is_empty() -> None:
    assert on_terminal(lambda: print_rows([])) == []


def test_people_get_a_line_for_each_key_of_an_object() -> None:
    shown = on_terminal(lambda: print_object({"sid": "AC1", "auth_token": "x"}))
    assert shown == ["sid         AC1", "auth_token  x"]
