"""The functions start cold on the built layer, with AWS's runtime client.

The tests check the cost of a cold start, and what a SnapStart snapshot contains.
"""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import botocore.session
import pytest

from tests.benchmarks import warm
from tests.support import lambda_runtime
from tests.support.lambda_runtime import LAYER, TIMEOUT_SECONDS
from tests.support.template import ROOT

pytestmark = pytest.mark.built

MAX_BYTECODE_INSTRUCTIONS = 7_172_000
"""The number of bytecode instructions in a cold start of the API function. The test allows 3 % more.

Unlike a duration, this number is the same on every machine, within 0.01 %. The test counts bytecode instructions,
because Python itself can count them. `tests.benchmarks.cold_start` counts CPU instructions, but needs Valgrind.

If a change makes the cold start cheaper, lower the constant. To keep the number low, a cold start imports only the
resources that most first requests need (`FREQUENT` in `aws/handlers/api.py`).
"""

COUNTING = """
import sys
steps = 0
def count(code, offset):
    global steps
    steps += 1
monitoring = sys.monitoring
monitoring.use_tool_id(monitoring.PROFILER_ID, "steps")
monitoring.register_callback(monitoring.PROFILER_ID, monitoring.events.INSTRUCTION, count)
monitoring.set_events(monitoring.PROFILER_ID, monitoring.events.INSTRUCTION)
import app
monitoring.set_events(monitoring.PROFILER_ID, 0)
print(steps)
"""

SNAPPED = """
import gc, random, runpy, sys
runpy.run_path({app!r})
# This state is part of the snapshot, so every restored environment starts with it.
random.seed(7)

def unbuilt(model):
    for below in model.__subclasses__():
        if below.__module__.startswith("convoke.") and not below.__pydantic_complete__:
            yield below.__name__
        yield from unbuilt(below)

def lambda_handler(event, context):
    from pydantic import BaseModel
    return {{"drawn": random.random(), "unbuilt": [*unbuilt(BaseModel)], "collecting": gc.isenabled(),
            "numbers": "phonenumbers" in sys.modules,
            "resources": [name for name in sys.modules if name.startswith("convoke.api.resources.")]}}
"""


RESOURCES = {path.stem for path in (LAYER / "convoke/api/resources").glob("*.py")} - {"__init__"}


def run(code: str, *path: Path) -> str:
    command = [str(lambda_runtime.python()), "-c", code]
    environ = lambda_runtime.environment(*path)
    return subprocess.run(command, env=environ, cwd="/", capture_output=True, text=True, check=True).stdout.strip()


def test_cold_start_runs_no_more_bytecode_than_before() -> None:
    assert int(run(COUNTING, LAYER, ROOT / "functions/api")) <= MAX_BYTECODE_INSTRUCTIONS * 1.03


def test_warm_function_creates_conversations_for_the_benchmark() -> None:
    assert 0 < warm.measure() < 100


@pytest.mark.parametrize("region", ["eu-central-1", "cn-north-1", "us-gov-west-1", "ap-southeast-5"])
def test_pruning_botocore_changes_no_endpoint(region: str) -> None:
    """The layer contains only a part of botocore. This part must find the same endpoints as the complete botocore."""
    services = [path.name for path in (LAYER / "botocore/data").iterdir() if path.is_dir()]
    of_session = f"""
session = get_session()
for service in {services!r}:
    print(session.create_client(service, region_name={region!r}).meta.endpoint_url)
"""
    session = botocore.session.get_session()
    made = [
        session.create_client(
            service,
            region_name=region,
            aws_access_key_id="test",
            aws_secret_access_key="test",
        ).meta.endpoint_url
        for service in services
    ]
    assert run(f"from botocore.session import get_session{of_session}", LAYER).split() == made


def test_restored_snapshot_is_warm_and_reseeds_random_numbers(tmp_path: Path) -> None:
    (tmp_path / "app.py").write_text(SNAPPED.format(app=str(ROOT / "functions/api/app.py")))
    client = lambda_runtime.install_client(tmp_path / "client")
    environ = lambda_runtime.environment(LAYER, client) | {"AWS_LAMBDA_INITIALIZATION_TYPE": "snap-start"}
    drawn = set()
    for _ in range(2):
        with (
            lambda_runtime.runtime_api(invocations=1) as (address, asked),
            lambda_runtime.started(tmp_path, environ, address),
        ):
            assert asked.get(timeout=TIMEOUT_SECONDS).endswith("/runtime/restore/next")
            assert asked.get(timeout=TIMEOUT_SECONDS).endswith("/runtime/invocation/next")
            path, _, body = asked.get(timeout=TIMEOUT_SECONDS).partition(" ")
        assert path.endswith("/response"), body
        answered = json.loads(body)
        assert (answered["unbuilt"], answered["collecting"], answered["numbers"]) == ([], True, True)
        assert {name.rpartition(".")[2] for name in answered["resources"]} == RESOURCES
        drawn.add(answered["drawn"])
    assert len(drawn) == 2
