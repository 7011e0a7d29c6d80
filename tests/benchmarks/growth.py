"""Whether figures of `convoke up` stay as they are where it holds many conversations already.

`python -m tests.benchmarks.growth [--json PATH]`. Data files with 3,000, 10,000 and 100,000 conversations of 10 members
are made of one that was asked for, with the changes of each (`copies.py`). Measuring adds some thousands to them, so
each turn has copies of the smaller ones.
"""

from __future__ import annotations

import os
import shutil
import time
from itertools import cycle
from pathlib import Path
from random import Random
from tempfile import TemporaryDirectory
from typing import Any

from tests.benchmarks.copies import copy
from tests.benchmarks.load import Connection, load, once
from tests.benchmarks.runs import WARM_UP, alternately, measured, medians, run
from tests.benchmarks.server import Convoke, convoke
from tests.support.processes import up

SIZES = (3_000, 10_000, 100_000)

TURNS = 3
CLIENTS = 16
SECONDS = 3.0
ONE_SECONDS = 1.5

FETCHED = 500
"""Conversations of any age that are fetched, over and over."""


class Filled:
    """A data file, and the conversations in it that are fetched."""

    def __init__(self, path: Path, sids: list[str]) -> None:
        self._path = path
        self._is_large = len(sids) == SIZES[-1]
        self._paths = [f"/v1/Conversations/{sid}" for sid in Random(0).sample(sids, FETCHED)]

    def measure(self) -> dict[str, float]:
        with TemporaryDirectory(dir=self._path.parent) as folder:
            data = self._path if self._is_large else Path(shutil.copy(self._path, folder))
            # What is still to be written would be written while we measure.
            os.sync()
            begun = time.perf_counter()
            with convoke(data) as instance:
                once(instance.address, instance.list_page)
                started, memory = time.perf_counter() - begun, instance.process.memory()
                return {"start_seconds": started, "memory_mb": memory, **self._measure(instance)}

    def _measure(self, instance: Convoke) -> dict[str, float]:
        requests = cycle([instance.get(path) for path in self._paths])

        async def fetch(connection: Connection) -> None:
            await connection.ask(next(requests))

        times = {}
        for name, work in (("fetch", fetch), ("list", instance.list_page), ("create", instance.create)):
            load(instance.address, work, 1, WARM_UP)
            times[f"{name}_p50_ms"] = load(instance.address, work, 1, ONE_SECONDS).percentile(50)
            instance.work_off()
        for name, work in (("create", instance.create), ("ready", instance.create_until_active)):
            times[f"{name}_per_second"] = measured(instance, work, CLIENTS, SECONDS)["per_second"]
        return times


def filled(folder: Path) -> dict[int, Filled]:
    """A file of each size, which are made one of the other."""
    data = folder / "convoke.db"
    with up("--data", str(data)) as running:
        instance = Convoke(running.ready)
        original = once(instance.address, instance.create_until_active).rpartition("/")[2]
        # It ends when everything is settled, and nothing of it is copied half done.
        running.stop()
    sids, files = [original], {}
    for size in SIZES:
        sids += copy(data, original, size - len(sids))
        kept = data if size == SIZES[-1] else Path(shutil.copy(data, folder / f"{size}.db"))
        files[size] = Filled(kept, [*sids])
    return files


def measure() -> dict[str, Any]:
    """Medians by size."""
    with TemporaryDirectory() as folder:
        sides = {str(size): each.measure for size, each in filled(Path(folder)).items()}
        return {size: medians(turns) for size, turns in alternately(sides, TURNS).items()}


if __name__ == "__main__":
    run(measure, __doc__)
