"""Measure how much processor time a warm API function needs to create a conversation.

Run `make build`, then `python -m tests.benchmarks.warm`. `--json PATH` also writes the result to a file.

The built function runs on Lambda's Python version. A stub replaces the connections to AWS and answers without delay.
The result is the minimum of several rounds, because other load on the machine can only make a round slower. The program
also reports the size of the layer.
"""

from __future__ import annotations

import base64
import json
import subprocess
import sys
from argparse import ArgumentParser
from pathlib import Path
from urllib.parse import urlencode

from tests.support import lambda_runtime
from tests.support.examples import chat
from tests.support.lambda_runtime import BUILD, LAYER
from tests.support.template import ROOT

MAX_MILLISECONDS = 4.0
"""The target for the processor time of creating one conversation, in milliseconds."""

MEMBERS = 10

ACCOUNT_SID, TOKEN = f"AC{0:032}", "0" * 32


def measure() -> float:
    """Return the processor time of creating one conversation, in milliseconds."""
    event = json.loads((ROOT / "events/api/create_plain.json").read_text())
    credentials = base64.b64encode(f"{ACCOUNT_SID}:{TOKEN}".encode()).decode()
    event["headers"]["authorization"] = f"Basic {credentials}"
    event["body"] = urlencode({"FriendlyName": "Visit", "Participant": chat(MEMBERS)}, doseq=True)
    result = subprocess.run(
        [str(lambda_runtime.python()), str(ROOT / "tests/benchmarks/answered.py"), ACCOUNT_SID, TOKEN],
        env=lambda_runtime.environment(LAYER, BUILD / "ApiFunction"),
        input=json.dumps(event),
        capture_output=True,
        text=True,
        check=False,
    )
    if result.returncode:
        raise RuntimeError(result.stdout + result.stderr)
    rounds: list[float] = json.loads(result.stderr)
    return min(rounds)


def main() -> None:
    arguments = ArgumentParser()
    arguments.add_argument("--json", type=Path, metavar="PATH", help="write the figure to this file, too")
    path: Path | None = arguments.parse_args().json
    if not LAYER.exists():
        sys.exit("there is no build: run `make build`")
    milliseconds = measure()
    megabytes = sum(file.stat().st_size for file in LAYER.rglob("*") if file.is_file()) / 1e6
    print(f"{milliseconds:.2f} ms of processor time per create of {MEMBERS} chat members")
    print(f"The target is at most {MAX_MILLISECONDS:g} ms.")
    print(f"{megabytes:.2f} MB of layer")
    if path:
        content = {"milliseconds": milliseconds, "most": MAX_MILLISECONDS, "layer_mb": megabytes}
        path.write_text(json.dumps(content, indent=2) + "\n")


if __name__ == "__main__":
    main()
