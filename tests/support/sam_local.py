"""`make sam-local`: invoke every sample of events/ with `sam local invoke`, in Lambda's image.

This program needs Docker or podman. `make e2e-lambda` runs the same samples without containers.

The functions call MiniStack instead of AWS. MiniStack listens on localhost only. Therefore the containers use the
network of the host, which is possible on Linux.
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
    """Return whether Docker or podman is running. `sam` needs only one of them."""
    found = (path for engine in ("docker", "podman") if (path := shutil.which(engine)))
    return any(subprocess.run([path, "info"], capture_output=True, check=False).returncode == 0 for path in found)


def invoke(function: str, sample: Path, stack: Stack, folder: Path) -> str:
    """Invoke a function with a sample event. Return the result that `sam` prints. Raises CalledProcessError."""
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
        sys.exit(
            "`sam local invoke` needs Docker or podman, and neither is running. `make e2e-lambda` needs no containers."
        )
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
