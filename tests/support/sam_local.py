"""`make sam-local`: every sample of events/ by `sam local invoke`, in Lambda's own image.

It wants Docker or podman, says so and fails where neither answers; `make e2e-lambda` needs neither. The AWS of the
functions is MiniStack, which listens on this machine only: so the containers are on its network (Linux).
"""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

from convoke.cli.ministack import Stack, deployed
from tests.support.lambda_runtime import EVENTS, filled_in, function_of
from tests.support.template import ROOT

CREDENTIALS = {"AWS_ACCESS_KEY_ID": "test", "AWS_SECRET_ACCESS_KEY": "test", "AWS_REGION": "us-east-1"}


def engine_answers() -> bool:
    """Whether a container can be run: `sam` speaks to either."""
    found = (path for engine in ("docker", "podman") if (path := shutil.which(engine)))
    return any(subprocess.run([path, "info"], capture_output=True, check=False).returncode == 0 for path in found)


def invoke(function: str, sample: Path, stack: Stack, folder: Path) -> str:
    """What sam prints of the answer. Raises CalledProcessError where it could not be had."""
    deployed_function = function_of(function, stack)
    variables = {**deployed_function.variables, **CREDENTIALS, "AWS_ENDPOINT_URL": stack.endpoint_url}
    environ, event = folder / "environ.json", folder / "event.json"
    environ.write_text(json.dumps({deployed_function.logical_id: variables}))
    event.write_text(json.dumps(filled_in(sample, stack)))
    command = [str(ROOT / ".tools/bin/sam"), "local", "invoke", deployed_function.logical_id, "--event", str(event)]
    options = ["--env-vars", str(environ), "--docker-network", "host"]
    result = subprocess.run([*command, *options], cwd=ROOT, stdout=subprocess.PIPE, text=True, check=True)
    return result.stdout


def main() -> None:
    if not engine_answers():
        sys.exit("neither Docker nor podman answers here, which `sam local invoke` needs: make e2e-lambda does without")
    failed = []
    with deployed() as stack, TemporaryDirectory() as folder:
        for sample in sorted(EVENTS.glob("*/*.json")):
            answer = invoke(sample.parent.name, sample, stack, Path(folder))
            print(f"{sample.relative_to(ROOT)}: {answer.strip()}")
            if '"errorType"' in answer:
                failed.append(sample.name)
    if failed:
        sys.exit(f"failed: {', '.join(failed)}")


if __name__ == "__main__":
    main()
