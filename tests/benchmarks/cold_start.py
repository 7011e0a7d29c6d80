"""Count the machine instructions of a cold start, for the API function and for a typical function.

Run `make build`, then `uv run python -m tests.benchmarks.cold_start [--json PATH]`. Valgrind must be installed.

Each function runs under awslambdaric. Callgrind counts the instructions from the start of the process until the process
asks for its first invocation. The counts of two runs differ by less than 0.1 %.

The typical function is in the folder `typical`. Its packages are installed without compiled bytecode, as `sam build`
installs packages. The typical function is then counted a second time, with compiled bytecode.
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

MAX_RATIO = 0.30
"""The target for a ratio of two counts: at most this number.

The ratio is the count of the API function divided by the count of the typical function without compiled bytecode.
"""

TIMEOUT_SECONDS = 600.0


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
    """Start a function. Return how many instructions its process executes before its first invocation.

    `path` becomes PYTHONPATH.
    """
    with (
        lambda_runtime.runtime_api() as (address, asked),
        lambda_runtime.started(function, lambda_runtime.environment(*path), address, *callgrind.COMMAND) as process,
    ):
        first = asked.get(timeout=TIMEOUT_SECONDS)
        # The process has no handler for SIGUSR1. Therefore the process ends without any clean-up, as on Lambda.
        process.send_signal(signal.SIGUSR1)
        _, errors = process.communicate(timeout=TIMEOUT_SECONDS)
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
        sys.exit("there is no build: run `make build`")
    with TemporaryDirectory() as folder:
        measured = measure(Path(folder))
    ours, *others = measured.values()
    for name, count in measured.items():
        print(f"{name:34} {count / 1e9:6.3f} billion instructions")
    print(f"{ours / others[0]:.3f} of the typical function (target: at most {MAX_RATIO:g})")
    print(f"{ours / others[1]:.3f} of the typical function with compiled bytecode")
    if path:
        content = {"instructions": measured, "ratio": ours / others[0], "most": MAX_RATIO}
        path.write_text(json.dumps(content, indent=2) + "\n")


if __name__ == "__main__":
    main()
