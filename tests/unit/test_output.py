"""Commands print tables on a terminal, and lines of JSON otherwise (cli/output.py)."""

from __future__ import annotations

import json
import sys
from typing import Any

import click
import pytest

from convoke.cli import output
from convoke.cli.output import print_object, print_rows

ROWS: list[dict[str, Any]] = [{"sid": "AC1", "targets": ["account"]}, {"sid": "AC22", "number": None}]


@pytest.fixture
def terminal(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True)


def printed(capsys: pytest.CaptureFixture[str]) -> list[str]:
    return click.unstyle(capsys.readouterr().out).splitlines()


def test_programs_get_one_line_of_json_for_each_object(capsys: pytest.CaptureFixture[str]) -> None:
    print_rows(ROWS)
    print_object(ROWS[0])
    assert [json.loads(line) for line in printed(capsys)] == [*ROWS, ROWS[0]]


@pytest.mark.usefixtures("terminal")
def test_people_get_a_table(capsys: pytest.CaptureFixture[str]) -> None:
    print_rows(ROWS)
    assert printed(capsys) == ["sid   targets      number", 'AC1   ["account"]  -', "AC22  -            -"]


@pytest.mark.usefixtures("terminal")
def test_long_tables_are_printed_in_parts(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(output, "MAX_TABLE_ROWS", 2)
    print_rows({"n": number} for number in range(5))
    assert printed(capsys) == ["n", "0", "1", "n", "2", "3", "n", "4"]


@pytest.mark.usefixtures("terminal")
def test_table_without_rows_is_empty(capsys: pytest.CaptureFixture[str]) -> None:
    print_rows([])
    assert printed(capsys) == []


@pytest.mark.usefixtures("terminal")
def test_people_get_a_line_for_each_key_of_an_object(capsys: pytest.CaptureFixture[str]) -> None:
    print_object({"sid": "AC1", "auth_token": "x"})
    assert printed(capsys) == ["sid         AC1", "auth_token  x"]
