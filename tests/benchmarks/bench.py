"""Run all benchmarks, one after the other: `make bench`, or `python -m tests.benchmarks.bench [PART ...]`.

Each part is a module of this package that can also run alone. The program writes the results to `results/latest.json`.
If the command names parts, only these parts run, and the file keeps the old results of the other parts.

The table and the plot in docs/benchmarks.md are generated from `results/latest.json`.
"""

from __future__ import annotations

import json
import subprocess
import sys
import time
from argparse import ArgumentParser
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from tests.benchmarks import plot
from tests.benchmarks.figures import print_table, with_table
from tests.benchmarks.results import LATEST, NOT_MEASURED, Results, cpu_times, keep, last, this_machine, today
from tests.support.docs import BENCHMARKS

PARTS = (
    "embedded",
    "peer",
    "sweep",
    "growth",
    "messages",
    "chat",
    "checkpoints",
    "aws_calls",
    "cost",
    "partitions",
    "instructions",
    "cold_start",
    "warm",
)

MAX_PART_SECONDS = 900


def measured(part: str) -> Any:
    """Run a part and return its results.

    If the part fails, the result has only the key NOT_MEASURED, with the reason for the failure.
    """
    with TemporaryDirectory() as folder:
        path = Path(folder) / "found.json"
        command = [sys.executable, "-m", f"tests.benchmarks.{part}", "--json", str(path)]
        try:
            subprocess.run(command, check=True, capture_output=True, text=True, timeout=MAX_PART_SECONDS)
        except subprocess.TimeoutExpired:
            return {NOT_MEASURED: f"it took over {MAX_PART_SECONDS} s"}
        except subprocess.CalledProcessError as error:
            print(error.stderr, file=sys.stderr)
            return {NOT_MEASURED: (error.stderr.strip() or "it failed").splitlines()[-1].replace("|", " ")}
        return json.loads(path.read_text())


def run(parts: Sequence[str]) -> Results:
    machine, (all_before, stolen_before) = this_machine(), cpu_times()
    print(f"{machine.summary}; load {machine.load_at_start:.2f}")
    found = dict(last().parts) if LATEST.exists() and parts != PARTS else {}
    for part in parts:
        begun = time.monotonic()
        found[part] = measured(part)
        print(f"{part}: {time.monotonic() - begun:.0f} s", flush=True)
    all_after, stolen_after = cpu_times()
    stolen = round((stolen_after - stolen_before) / (all_after - all_before), 4)
    command = (
        "make bench"
        if parts == PARTS
        else f"make bench` and, later, `python -m tests.benchmarks.bench {' '.join(parts)}"
    )
    return Results(command=command, date=today(), machine=machine, stolen=stolen, parts=found)


def main() -> None:
    arguments = ArgumentParser(description=__doc__)
    arguments.add_argument("parts", nargs="*", choices=[[], *PARTS], metavar="PART", help=", ".join(PARTS))
    results = run(tuple(arguments.parse_args().parts) or PARTS)
    keep(results)
    BENCHMARKS.write_text(with_table(BENCHMARKS.read_text()))
    if NOT_MEASURED not in results.parts.get("sweep", {NOT_MEASURED: ""}):
        plot.draw(results)
    print_table(results)


if __name__ == "__main__":
    main()
