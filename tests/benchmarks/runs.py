"""Run benchmarks, print their results, and write the results to files."""

from __future__ import annotations

import json
import statistics
import time
from argparse import ArgumentParser
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

from tests.benchmarks.load import Round, load
from tests.benchmarks.server import Server

Found = TypeVar("Found")

WARM_UP_SECONDS = 0.5
"""How long clients send requests before a measurement begins."""


def alternately(sides: Mapping[str, Callable[[], Found]], times: int) -> dict[str, list[Found]]:
    """Run `times` rounds. In each round, call every function in `sides` once.

    Other load on the machine then affects all functions equally. Return a mapping from each function's name to its
    results.
    """
    found: dict[str, list[Found]] = {name: [] for name in sides}
    for _ in range(times):
        for name, side in sides.items():
            found[name].append(side())
    return found


def measured(server: Server, work: Round, clients: int, seconds: float) -> dict[str, float]:
    """Warm up the server, and then measure the server and its clients. Return the figures.

    The server still has work after the last response. Two figures include this work: the finished rounds per second,
    and the processor time of the server.
    """
    load(server.address, work, clients, WARM_UP_SECONDS)
    server.work_off()
    begun, before = time.perf_counter(), server.process.cpu()
    found = load(server.address, work, clients, seconds)
    backlog = server.work_off()
    rounds, elapsed, cpu = len(found.milliseconds), time.perf_counter() - begun, server.process.cpu() - before
    return {
        **found.figures(),
        "finished_per_second": round(rounds / elapsed, 1),
        "server_cpu_ms": cpu * 1000 / rounds,
        "backlog_s": backlog,
        "oldest_step_s": round(server.oldest_step(), 3),
        "memory_mb": server.process.memory(),
    }


def medians(measurements: Sequence[Mapping[str, float]]) -> dict[str, float]:
    """Return the median of each figure over all measurements."""
    return {name: round(statistics.median(each[name] for each in measurements), 3) for name in measurements[0]}


def run(measure: Callable[[], Mapping[str, Any]], about: str | None) -> None:
    """Parse a benchmark's command line, run the benchmark, and print the results.

    If the command line contains `--json PATH`, also write the results to this file. `about` is the text of `--help`.
    """
    arguments = ArgumentParser(description=about)
    arguments.add_argument("--json", type=Path, metavar="PATH", help="write the figures to this file, too")
    path: Path | None = arguments.parse_args().json
    found = measure()
    print(json.dumps(found, indent=2))
    if path:
        path.write_text(json.dumps(found, indent=2) + "\n")
