"""What `make build` makes: the layer that is deployed, opened and started by the Python that Lambda runs."""

from __future__ import annotations

import ssl
import subprocess

import pytest

from tests.support import lambda_runtime
from tests.support.lambda_runtime import LAYER, python
from tests.support.template import ROOT, functions, template

pytestmark = pytest.mark.built


def run(code: str) -> str:
    """What a program prints that sees the layer and nothing of the project."""
    environ = lambda_runtime.environment(LAYER)
    result = subprocess.run([python(), "-c", code], env=environ, cwd="/", capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stderr
    return result.stdout.strip()


def test_the_layer_has_nothing_that_only_one_machine_needs() -> None:
    package = LAYER / "convoke"
    assert (package / "aws" / "handlers.py").exists()
    for left_out in ("cli", "embedded", "testing", "__main__.py"):
        assert not (package / left_out).exists(), left_out
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
from convoke.aws.edges import AwsEdges
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
    assert sum(path.stat().st_size for path in LAYER.rglob("*") if path.is_file()) <= 25_000_000


def test_the_language_level_of_the_layer_is_lambda_s() -> None:
    assert run("import sys; print(*sys.version_info[:2])") == "3 13"


def test_calls_of_aws_trust_its_own_roots_or_all_there_are() -> None:
    """By default the former; whatever may be chosen is in the layer, where Lambda unpacks it below /opt."""
    chosen = template()["Parameters"]["AwsAuthorities"]
    bundles = [LAYER.parent / value.removeprefix("/opt/") for value in chosen["AllowedValues"]]
    small, whole = (ssl.create_default_context(cafile=bundle).get_ca_certs() for bundle in bundles)
    assert chosen["Default"] == chosen["AllowedValues"][0]
    assert len(small) == 5 < 100 < len(whole)
    program = """
import os
from convoke.aws.edges import AwsEdges
print(AwsEdges(os.environ).table._client._endpoint.http_session._verify)
"""
    assert run(program) == chosen["Default"]


def test_webhooks_trust_what_the_machine_does() -> None:
    """They go to the whole internet."""
    program = """
import os
from convoke.aws.edges import AwsEdges
options = AwsEdges(os.environ).webhook_client._pool.connection_pool_kw
print([name for name in options if name.startswith(("ca_", "cert", "ssl"))])
"""
    assert run(program) == "[]"
