"""Measures what a create costs the API function that is warm: `python -m tests.benchmarks.warm`, after `make build`.

`--json PATH` writes it down, too. It is the processor time of the built function on Lambda's Python: to parse, check,
build, sign and read the answers of AWS, which a stub in place of the connection gives at once. Of several rounds the
least counts: whatever else the machine does can only add to it.
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

MOST = 4.0
"""Milliseconds that a create is to take at the most."""

MEMBERS = 10

TOKEN = "0" * 32


def measure() -> float:
    """Milliseconds a create."""
    event = json.loads((ROOT / "events/api/create_plain.json").read_text())
    credentials = base64.b64encode(f"AC{0:032}:{TOKEN}".encode()).decode()
    event["headers"]["authorization"] = f"Basic {credentials}"
    event["body"] = urlencode({"FriendlyName": "Visit", "Participant": chat(MEMBERS)}, doseq=True)
    result = subprocess.run(
        [str(lambda_runtime.python()), str(ROOT / "tests/benchmarks/answered.py"), TOKEN],
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
        sys.exit("nothing is built: make build")
    milliseconds = measure()
    megabytes = sum(file.stat().st_size for file in LAYER.rglob("*") if file.is_file()) / 1e6
    print(f"{milliseconds:.2f} ms of processor time a create of {MEMBERS} chat members ({MOST:g} at the most)")
    print(f"{megabytes:.2f} MB of layer")
    if path:
        content = {"milliseconds": milliseconds, "most": MOST, "layer_mb": megabytes}
        path.write_text(json.dumps(content, indent=2) + "\n")


if __name__ == "__main__":
    main()
