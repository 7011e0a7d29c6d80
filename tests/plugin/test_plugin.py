"""The pytest plugin works in a separate project that neither imports Convoke nor configures the plugin."""

from __future__ import annotations

import ast
import os
import re
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest

from tests.support.template import ROOT

SOURCE = ROOT / "layers/convoke/src/convoke"
PLUGIN = "pytest_plugin"


@pytest.fixture
def example(tmp_path: Path) -> Path:
    return Path(shutil.copytree(Path(__file__).with_name("example"), tmp_path / "example"))


@pytest.fixture
def environ(tmp_path: Path) -> dict[str, str]:
    """Return environment variables that make pytest load the entry points in pyproject.toml.

    The installed package can have outdated entry points.
    """
    declared = tomllib.loads((ROOT / "layers/convoke/pyproject.toml").read_text())["project"]["entry-points"]
    points = "\n".join(f"{name} = {module}" for name, module in declared["pytest11"].items())
    info = tmp_path / "installed" / "convoke_as_it_is-0.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: convoke-as-it-is\nVersion: 0\n")
    (info / "entry_points.txt").write_text(f"[pytest11]\n{points}\n")
    path = os.pathsep.join([str(info.parent), str(SOURCE.parent)])
    return {**os.environ, "PYTHONPATH": path, "PYTEST_ADDOPTS": ""}


def run(example: Path, environ: dict[str, str], *options: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", *options]
    return subprocess.run(command, cwd=example, env=environ, capture_output=True, text=True, check=False, timeout=120)


def test_fixture_works_without_any_import_or_setting(example: Path, environ: dict[str, str]) -> None:
    result = run(example, environ, "-W", "error", "--durations=0")
    assert result.returncode == 0, result.stdout + result.stderr
    assert re.search(r"\b6 passed in", result.stdout)


def test_examples_of_the_docs_pass(example: Path, environ: dict[str, str]) -> None:
    pages = (ROOT / "README.md").read_text() + (ROOT / "docs/testing.md").read_text()
    shown = re.findall(r"```python\n(def test_.*?)```", pages, re.DOTALL)
    (example / "test_visits.py").write_text("\n\n".join(shown))
    result = run(example, environ)
    assert re.search(rf"\b{len(shown)} passed in", result.stdout), result.stdout + result.stderr
    assert len(shown) >= 2


def test_each_test_takes_at_most_half_a_second(example: Path, environ: dict[str, str]) -> None:
    times = 30
    (example / "test_visits.py").write_text(
        "import pytest\n\n"
        f"@pytest.mark.parametrize('time', range({times}))\n"
        "def test_nothing(convoke, time):\n    assert convoke.received_webhooks == []\n"
    )
    result = run(example, environ)
    found = re.search(rf"{times} passed in ([0-9.]+)s", result.stdout)
    assert found, result.stdout + result.stderr
    assert float(found[1]) < 15


def test_test_run_without_the_fixture_imports_only_the_plugin(example: Path, environ: dict[str, str]) -> None:
    (example / "test_visits.py").write_text(
        "import sys\n\n"
        "def test_nothing():\n"
        "    loaded = [name for name in sys.modules if name.startswith('convoke')]\n"
        "    assert sorted(loaded) == ['convoke', 'convoke.testing', 'convoke.testing.pytest_plugin']\n"
    )
    result = run(example, environ)
    assert result.returncode == 0, result.stdout + result.stderr


def test_client_without_twilio_package_says_how_to_install_it(example: Path, environ: dict[str, str]) -> None:
    (example / "test_visits.py").write_text(
        "import sys\n\nimport pytest\n\n"
        "def test_client(convoke, monkeypatch):\n"
        "    monkeypatch.setitem(sys.modules, 'twilio.rest', None)\n"
        "    with pytest.raises(RuntimeError, match='pip install twilio'):\n"
        "        convoke.client()\n"
    )
    result = run(example, environ)
    assert result.returncode == 0, result.stdout + result.stderr


def test_plain_installation_contains_every_package_that_an_instance_imports() -> None:
    """The other tests run with the packages of all extras. Therefore they cannot detect a missing package."""
    program = """
import sys
from convoke.testing.instance import running
with running():
    print(*(module.__file__ for name, module in sys.modules.items() if name.startswith("convoke.")))
"""
    printed = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True).stdout
    imported = {name for path in printed.split() for name in imports_of(Path(path))}
    imported -= {*sys.stdlib_module_names, "convoke"}
    distributions = packages_distributions()
    needed = {re.sub(r"[-_.]+", "-", name).lower() for module in imported for name in distributions[module]}
    project = tomllib.loads((ROOT / "layers/convoke/pyproject.toml").read_text())["project"]
    assert needed <= {re.split(r"[^\w-]", name)[0] for name in project["dependencies"]}


def imports_of(source: Path) -> Iterator[str]:
    """Yield the packages that a module imports at its top level."""
    for statement in ast.parse(source.read_text()).body:
        match statement:
            case ast.Import(names):
                yield from (alias.name.partition(".")[0] for alias in names)
            case ast.ImportFrom(module=str(module)):
                yield module.partition(".")[0]


def test_no_other_module_imports_the_plugin_or_pytest() -> None:
    modules = {path.stem: path.read_text() for path in SOURCE.rglob("*.py")}
    importing = re.compile(rf"^\s*(?:import|from)\s.*\b(?:pytest|{PLUGIN})\b", re.MULTILINE)
    assert [name for name, text in modules.items() if importing.search(text)] == [PLUGIN]
