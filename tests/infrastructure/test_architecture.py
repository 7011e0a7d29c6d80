"""The package follows the import rules, and import-linter reports a violation that a test adds to a copy.

The pre-commit hooks run the locked tools, CI runs the test command of the README, and all settings contain the same
Python version.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).parents[2]
SOURCE = ROOT / "layers/convoke/src/convoke"


def lint(folder: Path) -> subprocess.CompletedProcess[str]:
    """Check the package in `folder` with import-linter, by the contracts in pyproject.toml."""
    shutil.copy(ROOT / "pyproject.toml", folder)
    command = [str(Path(sys.executable).with_name("lint-imports")), "--no-cache", "--no-logo"]
    environ = {**os.environ, "PYTHONPATH": str(folder)}
    return subprocess.run(command, cwd=folder, env=environ, capture_output=True, text=True, check=False)


@pytest.fixture
def copied(tmp_path: Path) -> Path:
    """Copy the package, so that a test can change the copy. Return the path of the copy."""
    return shutil.copytree(SOURCE, tmp_path / "convoke", ignore=shutil.ignore_patterns("__pycache__"))


@pytest.mark.parametrize(
    ("module", "planted"),
    [
        ("domain/events.py", "from convoke.operations import ports"),
        ("storage/keys.py", "from convoke.operations import ports"),
        ("aws/edges.py", "from convoke.embedded import engine"),
        ("storage/keys.py", "import boto3"),
        ("program.py", "from convoke.embedded import engine"),
        ("api/resources/description.py", "from convoke.api import openapi"),
    ],
)
def test_forbidden_import_breaks_a_contract(copied: Path, module: str, planted: str) -> None:
    path = copied / module
    path.write_text(f"{path.read_text()}\n{planted}\n")
    result = lint(copied.parent)
    assert result.returncode == 1, result.stdout
    assert "broken" in result.stdout


def test_module_outside_the_layers_breaks_the_contract(copied: Path) -> None:
    (copied / "utils.py").write_text("")
    result = lint(copied.parent)
    assert result.returncode != 0
    assert "utils" in result.stdout + result.stderr


def test_package_keeps_all_import_contracts(copied: Path) -> None:
    result = lint(copied.parent)
    assert result.returncode == 0, result.stdout + result.stderr


def test_pre_commit_hooks_run_the_locked_tools() -> None:
    hooks = yaml.safe_load((ROOT / ".pre-commit-config.yaml").read_text())
    assert [repository["repo"] for repository in hooks["repos"]] == ["local"]
    assert all(hook["entry"].startswith("uv run ") for hook in hooks["repos"][0]["hooks"])


def test_python_version_is_the_same_in_every_setting() -> None:
    root = tomllib.loads((ROOT / "pyproject.toml").read_text())
    layer = tomllib.loads((ROOT / "layers/convoke/pyproject.toml").read_text())
    level = root["project"]["requires-python"].removeprefix(">=")
    assert layer["project"]["requires-python"] == f">={level}"
    assert root["tool"]["mypy"]["python_version"] == level
    assert root["tool"]["ruff"]["target-version"] == "py" + level.replace(".", "")


def test_ci_runs_the_test_command_of_the_readme() -> None:
    assert "exec make test" in (ROOT / ".ci/run").read_text()
    assert "\nmake test\n" in (ROOT / "README.md").read_text()
