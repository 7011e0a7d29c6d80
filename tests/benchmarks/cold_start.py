"""Counts what the cold start of the API function costs, beside that of a typical function.

`make build`, then `uv run python -m tests.benchmarks.cold_start [--json PATH]`. It needs valgrind: callgrind counts the
machine's instructions from the start of the process until it asks for its first invocation, under awslambdaric.
Unlike times, the counts are nearly the same each time: what noise there is is below a thousandth.

The typical function is in `typical/`, installed as `sam build` does it, which byte-compiles nothing. How much of the
difference is due to that alone is told by a third row, in which it is byte-compiled.
"""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from argparse import ArgumentParser
from pathlib import Path
from tempfile import TemporaryDirectory

from convoke.cli.ministack import uv
from tests.benchmarks import callgrind
from tests.support import lambda_runtime
from tests.support.lambda_runtime import BUILD, LAYER
from tests.support.template import ROOT

TYPICAL = ROOT / "tests/benchmarks/typical"

MOST = 0.30
"""Of the typical function's instructions: what the API function is to start with at the most."""

SECONDS = 600.0


def measure(folder: Path) -> dict[str, int]:
    client = lambda_runtime.install_client(folder / "client")
    locked = folder / "locked.txt"
    export = [uv(), "export", "--quiet", "--frozen", "--no-hashes", "--no-emit-workspace"]
    subprocess.run([*export, "--output-file", locked], check=True, cwd=ROOT, stdout=subprocess.DEVNULL)
    requirements = ("--requirement", str(TYPICAL / "requirements.txt"), "--constraint", str(locked))
    typical = lambda_runtime.install(folder / "typical", *requirements)
    measured = {
        "the API function": instructions(BUILD / "ApiFunction", LAYER, client),
        "a typical function": instructions(TYPICAL, typical, client),
    }
    lambda_runtime.byte_compile(typical)
    return measured | {"a typical function, byte-compiled": instructions(TYPICAL, typical, client)}


def instructions(function: Path, *path: Path) -> int:
    """Of a start, from the first of the process to the last before it asks for an invocation."""
    with (
        lambda_runtime.runtime_api() as (address, asked),
        lambda_runtime.started(function, lambda_runtime.environment(*path), address, *callgrind.COMMAND) as process,
    ):
        first = asked.get(timeout=SECONDS)
        # A signal that nobody handles: it ends without tidying up, which Lambda never does either.
        process.send_signal(signal.SIGUSR1)
        _, errors = process.communicate(timeout=SECONDS)
    count = callgrind.collected(errors)
    if not first.endswith("/invocation/next") or count is None:
        raise RuntimeError(f"{function} did not start: {first}\n{errors.decode()}")
    return count


def main() -> None:
    arguments = ArgumentParser()
    arguments.add_argument("--json", type=Path, metavar="PATH", help="write the counts to this file, too")
    path: Path | None = arguments.parse_args().json
    callgrind.require()
    if not LAYER.exists():
        sys.exit("nothing is built: make build")
    with TemporaryDirectory() as folder:
        measured = measure(Path(folder))
    ours, *others = measured.values()
    for name, count in measured.items():
        print(f"{name:34} {count / 1e9:6.3f} thousand million instructions")
    print(f"{ours / others[0]:.3f} of a typical function's ({MOST:g} at the most)")
    print(f"{ours / others[1]:.3f} of the same function's, were it byte-compiled")
    if path:
        content = {"instructions": measured, "ratio": ours / others[0], "most": MOST}
        path.write_text(json.dumps(content, indent=2) + "\n")


if __name__ == "__main__":
    main()
