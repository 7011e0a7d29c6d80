"""The program `convoke` lists its commands without importing their modules."""

from __future__ import annotations

import subprocess
import sys

import click
import pytest
from click.testing import CliRunner

from convoke.cli.main import COMMANDS, main


@pytest.mark.parametrize("name", COMMANDS)
def test_help_lists_each_command_with_the_first_sentence_of_its_own_help(name: str) -> None:
    with click.Context(main) as context:
        command = main.get_command(context, name)
    assert command is not None
    assert command.name == name
    assert command.get_short_help_str(limit=200) == COMMANDS[name].summary
    listed = CliRunner().invoke(main, ["--help"]).output
    assert f"{name}  " in listed
    assert COMMANDS[name].summary in listed


def test_unknown_command_is_a_usage_error() -> None:
    result = CliRunner().invoke(main, ["dance"])
    assert result.exit_code == 2
    assert "No such command 'dance'" in result.output


IMPORTED = (
    "import sys; from convoke.cli.main import main; main(sys.argv[1:], standalone_mode=False); print(*sys.modules)"
)


def imported_by(*arguments: str) -> set[str]:
    """Run a command in a new process. Return the modules that the process imported."""
    command = [sys.executable, "-c", IMPORTED, *arguments]
    return {*subprocess.run(command, capture_output=True, text=True, check=True).stdout.split()}


def test_help_imports_no_command() -> None:
    imported = imported_by("--help")
    assert "convoke.cli.main" in imported
    assert not imported & {"convoke.embedded.engine", "pydantic", "boto3", "botocore", "twilio"}


def test_commands_on_a_data_file_do_not_import_optional_packages() -> None:
    imported = imported_by("account", "create", "--data", ":memory:")
    assert "convoke.embedded.engine" in imported
    # Do not check for botocore, because Powertools imports botocore if it is installed.
    assert not imported & {"boto3", "twilio", "uvicorn"}


@pytest.mark.parametrize(
    ("package", "extra", "arguments"),
    [
        ("twilio", "testing", ["demo"]),
        ("boto3", "aws", ["account", "list", "--stack", "convoke"]),
        ("yaml", "aws", ["up", "--engine", "aws"]),
    ],
)
def test_missing_package_is_one_line_that_names_its_extra(package: str, extra: str, arguments: list[str]) -> None:
    program = f"import sys; sys.modules[{package!r}] = None; from convoke.cli.main import main; main({arguments})"
    result = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    needs = f"Error: this command needs the extra `{extra}`"
    message = f"{needs}: install Convoke with this extra, in a checkout with `make setup`\n"
    assert (result.returncode, result.stdout, result.stderr) == (1, "", message)
