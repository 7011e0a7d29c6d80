"""A change of the layer or the template makes the next deployment publish a new version of the API function."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.support.template import ROOT


def built(checkout: Path, path: str | None = None) -> dict[str, str]:
    """Run the API function's Makefile. Return a mapping from each built file's name to its text.

    `path` replaces the environment variable PATH of the tests.
    """
    artifacts = checkout / "artifacts"
    shutil.rmtree(artifacts, ignore_errors=True)
    artifacts.mkdir()
    command = ["make", "--silent", "build-ApiFunction", f"ARTIFACTS_DIR={artifacts}"]
    environ = os.environ | ({"PATH": path} if path else {})
    subprocess.run(command, cwd=checkout / "functions/api", env=environ, check=True)
    return {path.name: path.read_text() for path in artifacts.iterdir()}


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """Return a folder with the files that the API function's Makefile reads."""
    for folder in ("functions/api", "layers/convoke"):
        shutil.copytree(ROOT / folder, tmp_path / folder, ignore=shutil.ignore_patterns("__pycache__"))
    for file in ("uv.lock", "template.yaml"):
        shutil.copy(ROOT / file, tmp_path)
    return tmp_path


def test_changed_layer_or_template_changes_the_built_api_function(checkout: Path) -> None:
    first = built(checkout)
    assert set(first) == {"app.py", "sources.sha256"}
    assert built(checkout) == first
    seen = {first["sources.sha256"]}
    for changed in (
        "uv.lock",
        "template.yaml",
        "layers/convoke/Makefile",
        "layers/convoke/prune.py",
        "layers/convoke/src/convoke/domain/sids.py",
    ):
        with (checkout / changed).open("a") as file:
            file.write("# changed\n")
        seen.add(built(checkout)["sources.sha256"])
    assert len(seen) == 6


def test_build_without_sha256sum_uses_shasum_and_has_the_same_result(checkout: Path, tmp_path: Path) -> None:
    """Some versions of macOS do not have the command sha256sum."""
    sha256sum, tools = shutil.which("sha256sum"), tmp_path / "tools"
    tools.mkdir()
    for name in ("sh", "make", "cp", "find", "sort", "xargs"):
        (tools / name).symlink_to(shutil.which(name) or name)
    shasum = tools / "shasum"
    shasum.write_text(f'#!/bin/sh\n[ "$1 $2" = "-a 256" ] && shift 2 && exec {sha256sum} "$@"\n')
    shasum.chmod(0o755)
    assert built(checkout, str(tools)) == built(checkout)


def test_git_ignores_the_file_in_which_a_guided_deployment_saves_answers() -> None:
    assert "samconfig.toml" in (ROOT / ".gitignore").read_text().splitlines()
