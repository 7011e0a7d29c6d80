"""Measure whether `convoke up` becomes slower when the data file contains more conversations.

`python -m tests.benchmarks.growth [--json PATH]`. The three data files have 3,000, 10,000 and 100,000 conversations of
10 participants, which are copies of one conversation (`copies.py`). A measurement adds thousands of conversations to a
data file. Therefore each measurement of the two smaller files uses a fresh copy of the file.
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
from tests.benchmarks.runs import WARM_UP_SECONDS, alternately, measured, medians, run
from tests.benchmarks.server import Convoke, convoke
from tests.support.processes import up

SIZES = (3_000, 10_000, 100_000)

MEASUREMENTS = 3
MANY_CLIENTS, MANY_CLIENTS_SECONDS = 16, 3.0
ONE_CLIENT_SECONDS = 1.5

FETCHED_CONVERSATIONS = 500
"""The number of random conversations. A client fetches them one after the other, and then again from the first."""


class FilledFile:
    """A data file with many conversations."""

    def __init__(self, path: Path, sids: list[str]) -> None:
        self._path = path
        self._is_large = len(sids) == SIZES[-1]
        self._paths = [f"/v1/Conversations/{sid}" for sid in Random(0).sample(sids, FETCHED_CONVERSATIONS)]

    def measure(self) -> dict[str, float]:
        with TemporaryDirectory(dir=self._path.parent) as folder:
            data = self._path if self._is_large else Path(shutil.copy(self._path, folder))
            # Write the copied file to disk now. Otherwise the operating system would write it during the measurement.
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
            load(instance.address, work, 1, WARM_UP_SECONDS)
            times[f"{name}_p50_ms"] = load(instance.address, work, 1, ONE_CLIENT_SECONDS).percentile(50)
            instance.work_off()
        for name, work in (("create", instance.create), ("ready", instance.create_until_active)):
            times[f"{name}_per_second"] = measured(instance, work, MANY_CLIENTS, MANY_CLIENTS_SECONDS)["per_second"]
        return times


def filled_files(folder: Path) -> dict[int, FilledFile]:
    """Create a data file of each size.

    Each file contains all conversations of the next smaller file, and more copies.
    """
    data = folder / "convoke.db"
    with up("--data", str(data)) as running:
        instance = Convoke(running.ready)
        original = once(instance.address, instance.create_until_active).rpartition("/")[2]
        # Before the process ends, it finishes its running steps. Therefore the original conversation is settled.
        running.stop()
    sids, files = [original], {}
    for size in SIZES:
        sids += copy(data, original, size - len(sids))
        kept = data if size == SIZES[-1] else Path(shutil.copy(data, folder / f"{size}.db"))
        files[size] = FilledFile(kept, [*sids])
    return files


def measure() -> dict[str, Any]:
    """Measure each size several times. Return a mapping from each number of conversations to the medians."""
    with TemporaryDirectory() as folder:
        sides = {str(size): each.measure for size, each in filled_files(Path(folder)).items()}
        return {size: medians(turns) for size, turns in alternately(sides, MEASUREMENTS).items()}


if __name__ == "__main__":
    run(measure, __doc__)
