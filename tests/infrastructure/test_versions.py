"""A change of the layer or of the template publishes a new version of the API function."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

from tests.support.template import ROOT


def built(checkout: Path) -> dict[str, str]:
    """Run the Makefile of the API function, and return the text of each built file. The key is the file name."""
    artifacts = checkout / "artifacts"
    shutil.rmtree(artifacts, ignore_errors=True)
    artifacts.mkdir()
    command = ["make", "--silent", "build-ApiFunction", f"ARTIFACTS_DIR={artifacts}"]
    subprocess.run(command, cwd=checkout / "functions/api", check=True)
    return {path.name: path.read_text() for path in artifacts.iterdir()}


def test_changed_layer_or_template_changes_the_built_api_function(tmp_path: Path) -> None:
    for folder in ("functions/api", "layers/convoke"):
        shutil.copytree(ROOT / folder, tmp_path / folder, ignore=shutil.ignore_patterns("__pycache__"))
    for file in ("uv.lock", "template.yaml"):
        shutil.copy(ROOT / file, tmp_path)
    first = built(tmp_path)
    assert set(first) == {"app.py", "sources.sha256"}
    assert built(tmp_path) == first
    seen = {first["sources.sha256"]}
    for changed in (
        "uv.lock",
        "template.yaml",
        "layers/convoke/Makefile",
        "layers/convoke/prune.py",
        "layers/convoke/src/convoke/domain/sids.py",
    ):
        with (tmp_path / changed).open("a") as source:
            source.write("# changed\n")
        seen.add(built(tmp_path)["sources.sha256"])
    assert len(seen) == 6
