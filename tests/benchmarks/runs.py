"""How benchmarks are run, and how what they found is told."""

from __future__ import annotations

import json
import statistics
from argparse import ArgumentParser
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

from tests.benchmarks.load import Round, load
from tests.benchmarks.server import Server

Found = TypeVar("Found")

WARM_UP = 0.5
"""Seconds of the same work before what is measured."""


def alternately(sides: Mapping[str, Callable[[], Found]], turns: int) -> dict[str, list[Found]]:
    """Each side in its turn, so that what else the machine does comes to all of them alike."""
    found: dict[str, list[Found]] = {name: [] for name in sides}
    for _ in range(turns):
        for name, side in sides.items():
            found[name].append(side())
    return found


def measured(server: Server, work: Round, clients: int, seconds: float) -> dict[str, float]:
    """What clients and server see of it, after a warm-up. The server's time includes what it does afterwards."""
    load(server.address, work, clients, WARM_UP)
    server.work_off()
    before = server.process.cpu()
    found = load(server.address, work, clients, seconds)
    backlog = server.work_off()
    took = server.process.cpu() - before
    return {**found.figures(), "server_cpu_ms": took * 1000 / len(found.milliseconds), "backlog_s": backlog}


def medians(turns: Sequence[Mapping[str, float]]) -> dict[str, float]:
    """Of each figure by itself."""
    return {name: round(statistics.median(turn[name] for turn in turns), 3) for name in turns[0]}


def run(measure: Callable[[], Mapping[str, Any]], about: str | None) -> None:
    """The command line of a benchmark: it prints what it found, and `--json PATH` writes it down."""
    arguments = ArgumentParser(description=about)
    arguments.add_argument("--json", type=Path, metavar="PATH", help="write the figures to this file, too")
    path: Path | None = arguments.parse_args().json
    found = measure()
    print(json.dumps(found, indent=2))
    if path:
        path.write_text(json.dumps(found, indent=2) + "\n")
