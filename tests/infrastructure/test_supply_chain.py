"""The Makefiles and the product install only packages that are pinned with hashes.

The dependencies of Convoke have bounded versions, and licences from a fixed list.
"""

from __future__ import annotations

import re
from importlib.metadata import metadata

import pytest

from tests.support import dependency_table
from tests.support.docs import DOCS
from tests.support.template import ROOT

TOOLS = ROOT / ".ci/tools"

PERMISSIVE = {"Apache-2.0", "BSD-2-Clause", "BSD-3-Clause", "MIT", "MPL-2.0", "PSF-2.0", "Unlicense", "0BSD", "ISC"}
"""The licences that a dependency of Convoke may have."""


EXTRAS = re.compile(r"\[.*?\]")


@pytest.mark.parametrize("tool", sorted(path.stem for path in TOOLS.glob("*.in")))
def test_every_tool_is_locked_with_hashes(tool: str) -> None:
    locked = (TOOLS / f"{tool}.txt").read_text()
    packages = re.split(r"^(?=\S)", EXTRAS.sub("", locked), flags=re.MULTILINE)[1:]
    pinned = {package.split()[0] for package in packages}
    wanted = [line for line in (TOOLS / f"{tool}.in").read_text().splitlines() if not line.startswith("#")]
    assert {EXTRAS.sub("", requirement) for requirement in wanted} <= pinned
    for package in packages:
        assert "--hash=sha256:" in package, package


def test_commands_that_install_packages_require_hashes_or_the_lock_file() -> None:
    """`uv sync --locked` and `npm ci` check the hashes in their lock files."""
    sources = [ROOT / "Makefile", ROOT / "layers/convoke/Makefile", *(ROOT / "layers/convoke/src").rglob("*.py")]
    for path in sources:
        text = path.read_text()
        # Ignore hints for the user, such as "not installed: pip install twilio". They install nothing.
        for command in re.finditer(r'(?<!: )pip"?,? "?(?:install|sync)\b', text):
            assert "--require-hashes" in text[command.start() : command.start() + 300], f"{path.name}: {command[0]}"
        for line in re.findall(r".*\$\(UV\) sync.*", text):
            assert "--locked" in line, line
        assert not re.search(r"tool install|tool run|npm install|npx ", text), path.name


def test_every_dependency_has_a_lower_and_an_upper_bound() -> None:
    for requirement in metadata("convoke-conversations").get_all("Requires-Dist") or []:
        assert re.search(r">=?[\d.]+", requirement), f"{requirement} has no lower bound"
        assert re.search(r"<[\d.]+", requirement), f"{requirement} has no upper bound"


def test_licences_of_the_product_are_permissive_and_listed() -> None:
    licences = dependency_table.licences()
    assert len(licences) > 20
    for name, licence in licences.items():
        assert set(re.split(r" (?:AND|OR) ", licence.replace("(", "").replace(")", ""))) <= PERMISSIVE, (
            f"{name} has the licence {licence}"
        )
    assert dependency_table.table() in (DOCS / "dependencies.md").read_text(), "run `make docs-tables`"
