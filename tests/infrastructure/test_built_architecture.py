"""`make build` builds for the deployment's architecture, and the built template refuses other architectures."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest
import yaml

from tests.support.template import ROOT, template


def chosen(folder: Path, **environ: str) -> subprocess.CompletedProcess[str]:
    """Run `.ci/architecture`, which prints the architecture to build for. `folder` can contain a samconfig.toml."""
    variables = {name: value for name, value in os.environ.items() if name != "CONVOKE_ARCHITECTURE"} | environ
    return subprocess.run(
        [ROOT / ".ci/architecture"], cwd=folder, env=variables, capture_output=True, text=True, check=False
    )


def test_default_is_that_of_the_template(tmp_path: Path) -> None:
    architecture = template()["Parameters"]["Architecture"]
    assert chosen(tmp_path).stdout.strip() == architecture["Default"] == "arm64"
    assert template()["Resources"]["ConvokeLayer"]["Metadata"]["BuildArchitecture"] == architecture["Default"]


@pytest.mark.parametrize(
    "overrides",
    [r'"Architecture=\"x86_64\" DeletionProtection=\"true\""', '"A=b Architecture=x86_64"', '["Architecture=x86_64"]'],
)
def test_saved_parameter_of_sam_deploy_is_built_for(tmp_path: Path, overrides: str) -> None:
    config = tmp_path / "samconfig.toml"
    config.write_text(f"# Architecture=arm64\n[default.deploy.parameters]\nparameter_overrides = {overrides}\n")
    assert chosen(tmp_path).stdout == "x86_64\n"
    assert chosen(tmp_path, CONVOKE_ARCHITECTURE="arm64").stdout == "arm64\n"


def test_samconfig_without_the_parameter_is_built_for_the_default(tmp_path: Path) -> None:
    (tmp_path / "samconfig.toml").write_text('parameter_overrides = "OtherArchitecture=x86_64"\n')
    assert chosen(tmp_path).stdout == "arm64\n"


def test_unknown_and_contradictory_architectures_are_refused(tmp_path: Path) -> None:
    assert "must be arm64 or x86_64, not 'aarch64'" in chosen(tmp_path, CONVOKE_ARCHITECTURE="aarch64").stderr
    (tmp_path / "samconfig.toml").write_text('a = "Architecture=x86_64"\nb = "Architecture=arm64"\n')
    refused = chosen(tmp_path)
    assert (refused.returncode, refused.stdout) == (1, "")
    assert "not 'arm64 x86_64'" in refused.stderr


@pytest.mark.parametrize("architecture", ["arm64", "x86_64"])
def test_pinned_template_differs_only_in_the_architecture(tmp_path: Path, architecture: str) -> None:
    """BUILT has the form of the templates that `sam build` writes."""
    built = tmp_path / "template.yaml"
    built.write_text(BUILT)
    subprocess.run([ROOT / ".ci/pin-architecture", architecture, built], check=True)
    assert [path.name for path in tmp_path.iterdir()] == ["template.yaml"]
    expected = {"Type": "String", "Default": architecture, "AllowedValues": [architecture]}
    other = {"Default": "other", "AllowedValues": ["x86_64", "arm64"]}
    assert yaml.safe_load(built.read_text())["Parameters"] == {"Architecture": expected, "Other": other}


BUILT = """
Parameters:
  Architecture:
    Type: String
    Default: arm64
    AllowedValues:
    - arm64
    - x86_64
  Other:
    Default: other
    AllowedValues:
    - x86_64
    - arm64
"""
