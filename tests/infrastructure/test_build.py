"""What `make build` makes: the layer that is deployed, opened and started by the Python that Lambda runs."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path
from typing import Any

import pytest

from tests.support.template import ROOT, functions, template

pytestmark = pytest.mark.built

LAYER = ROOT / ".aws-sam/build/ConvokeLayer/python"


def python() -> Path:
    found = subprocess.run([ROOT / ".ci/python313"], capture_output=True, text=True, check=True, cwd=ROOT)
    return Path(found.stdout.strip()) / "python3.13"


def value_of(variable: Any) -> str:
    """The default of a parameter; what stands for a resource matters to nobody here."""
    parameter = template()["Parameters"].get(variable.get("Ref")) if isinstance(variable, dict) else None
    return str(parameter["Default"]) if parameter else "-"


def run(code: str) -> str:
    """What a program prints that sees the layer and nothing of the project."""
    environ = {"PATH": os.environ["PATH"], "PYTHONPATH": str(LAYER), "AWS_DEFAULT_REGION": "us-east-1"}
    set_ = [settings["Environment"]["Variables"] for settings in functions().values()]
    variables = {name: value_of(value) for variables in set_ for name, value in variables.items()}
    result = subprocess.run(
        [python(), "-c", code], env={**environ, **variables}, cwd="/", capture_output=True, text=True, check=False
    )
    assert result.returncode == 0, result.stderr
    return result.stdout.strip()


def test_the_layer_has_nothing_that_only_one_machine_needs() -> None:
    package = LAYER / "convoke"
    assert (package / "bootstrap" / "handlers.py").exists()
    assert not (package / "local").exists()
    assert not (package / "storage" / "sqlite.py").exists()
    for library in ("uvicorn", "twilio", "click", "moto"):
        assert not (LAYER / library).exists(), library


def test_every_module_of_the_layer_is_byte_compiled() -> None:
    for source in LAYER.rglob("*.py"):
        compiled = source.parent / "__pycache__" / f"{source.stem}.cpython-313.pyc"
        assert compiled.exists(), source
        assert compiled.read_bytes()[4:8] == b"\x01\x00\x00\x00", "compiled with an unchecked hash"


@pytest.mark.parametrize("function", sorted(functions()))
def test_every_function_starts_on_the_layer_alone(function: str) -> None:
    started = run(
        f"import sys; sys.path.insert(0, {str(ROOT / 'functions' / function)!r}); import app; print(app.__file__)"
    )
    assert started.endswith(f"{function}/app.py")


def test_the_layer_has_the_clients_that_the_functions_use_and_no_others() -> None:
    program = """
import os
from convoke.bootstrap.aws import AwsEdges
edges = AwsEdges(os.environ)
for port in (edges.auth_tokens, edges.participant_queue, edges.delivery_queue, edges.workflow, edges.event_bus):
    print(port.client.meta.service_model.service_name)
print(edges.table._client.meta.service_model.service_name)
"""
    made = run(program)
    assert set(made.split()) == {path.name for path in (LAYER / "botocore/data").iterdir() if path.is_dir()}


def test_the_api_describes_itself_on_the_layer_alone() -> None:
    """What makes the description is imported when it is asked for, so that starting shows nothing of it."""
    assert run("from convoke.api.openapi import document; print(document()['openapi'])") == "3.1.0"


def test_the_layer_is_small() -> None:
    """Unzipped, as Lambda counts it against its limit, and as a cold start loads it."""
    assert sum(path.stat().st_size for path in LAYER.rglob("*") if path.is_file()) <= 25 * 1024 * 1024


def test_the_language_level_of_the_layer_is_lambda_s() -> None:
    assert run("import sys; print(*sys.version_info[:2])") == "3 13"
