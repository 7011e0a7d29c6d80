"""`make build` builds a complete layer.

The tests check the layer's files, and start every function with the layer and Lambda's Python version.
"""

from __future__ import annotations

import os
import platform
import ssl
import subprocess
from pathlib import Path

import pytest
import yaml

from tests.support import lambda_runtime
from tests.support.lambda_runtime import BUILD, LAYER, python
from tests.support.template import ROOT, functions, template

pytestmark = pytest.mark.built


def run(code: str) -> str:
    """Run Python code that can import the packages of the layer, but not of the project. Return the output."""
    environ = lambda_runtime.environment(LAYER)
    result = subprocess.run([python(), "-c", code], env=environ, cwd="/", capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stderr
    return result.stdout.strip()


def test_layer_leaves_out_the_embedded_engine_and_the_command_line() -> None:
    package = LAYER / "convoke"
    assert (package / "aws" / "handlers" / "api.py").exists()
    for left_out in ("cli", "embedded", "testing", "__main__.py"):
        assert not (package / left_out).exists(), left_out
    for library in ("uvicorn", "twilio", "click", "moto", "aws_lambda_powertools/utilities/idempotency"):
        assert not (LAYER / library).exists(), library


MACHINES = {"x86_64": 62, "arm64": 183}
"""Maps each Lambda architecture to the value of `e_machine` in an ELF header. See elf(5)."""


def machines(layer: Path) -> set[int]:
    """Return the `e_machine` values of the shared libraries in a layer."""
    return {int.from_bytes(library.read_bytes()[18:20], "little") for library in layer.rglob("*.so")}


def modules(layer: Path) -> set[str]:
    """Return the module paths in a layer, without suffixes. A suffix can contain the architecture."""
    found = (path for path in layer.rglob("*") if path.suffix in {".py", ".so"})
    return {str(path.relative_to(layer)).partition(".")[0] for path in found}


MACHINE = {"aarch64": "arm64"}.get(platform.machine(), platform.machine())
"""Lambda's name for the architecture of this machine."""


def test_build_for_tests_is_for_this_machine_and_its_template_accepts_nothing_else() -> None:
    assert machines(LAYER) == {MACHINES[MACHINE]}
    pinned = yaml.safe_load((BUILD / "template.yaml").read_text())["Parameters"]["Architecture"]
    assert (pinned["Default"], pinned["AllowedValues"]) == (MACHINE, [MACHINE])


def test_layer_for_the_other_architecture_has_the_same_modules(tmp_path: Path) -> None:
    """`make build` can build for an architecture that this machine does not have. The default is arm64.

    The build would fail if a package had no wheel for one of the architectures.
    """
    (other,) = MACHINES.keys() - {MACHINE}
    environ = {**os.environ, "CONVOKE_ARCHITECTURE": other, "PATH": f"{python().parent}:{os.environ['PATH']}"}
    command = ["make", "--silent", "build-ConvokeLayer", f"ARTIFACTS_DIR={tmp_path}"]
    subprocess.run(command, cwd=ROOT / "layers/convoke", env=environ, check=True)
    assert machines(tmp_path) == {MACHINES[other]}
    assert modules(tmp_path / "python") == modules(LAYER)


def test_every_module_of_the_layer_is_byte_compiled_with_unchecked_hash() -> None:
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


def test_layer_describes_only_the_aws_services_in_use() -> None:
    program = """
import os
from convoke.aws.edges import AwsEdges
edges = AwsEdges(os.environ)
for port in (edges.auth_tokens, edges.participant_queue, edges.delivery_queue, edges.workflow, edges.event_bus):
    print(port.client.meta.service_model.service_name)
for client in (edges.table._client, edges.media_store._client, edges._sms):
    print(client.meta.service_model.service_name)
"""
    made = run(program)
    assert set(made.split()) == {path.name for path in (LAYER / "botocore/data").iterdir() if path.is_dir()}


def test_openapi_document_can_be_built_on_the_layer_alone() -> None:
    """A start of the API function does not import the modules that build the document.

    The function imports these modules when a client requests the document.
    """
    assert run("from convoke.api.openapi import document; print(document()['openapi'])") == "3.1.0"


def test_layer_size_is_at_most_26_mb() -> None:
    """Lambda limits the unzipped size of a layer. Therefore the test adds up the unzipped sizes."""
    assert sum(path.stat().st_size for path in LAYER.rglob("*") if path.is_file()) <= 26_000_000


def test_layer_is_tested_with_the_python_version_of_lambda() -> None:
    assert run("import sys; print(*sys.version_info[:2])") == "3 13"


def test_aws_clients_trust_the_selected_ca_bundle() -> None:
    """The template offers two bundles: Amazon's root CAs (the default), and botocore's bundle.

    The bundles are files of the layer, which Lambda puts in /opt.
    """
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


def test_webhook_client_trusts_the_cas_of_the_system() -> None:
    """Any public CA can have issued a receiver's certificate. Therefore the client must not use the CAs for AWS."""
    program = """
import os
from convoke.aws.edges import AwsEdges
options = AwsEdges(os.environ).webhook_client._pool.connection_pool_kw
print([name for name in options if name.startswith(("ca_", "cert", "ssl"))])
"""
    assert run(program) == "[]"
