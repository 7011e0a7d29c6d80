"""Read and write the results of the last run, and describe the machine of the run.

The results are committed to git.
"""

from __future__ import annotations

import os
import platform
import sysconfig
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict

from tests.support.template import ROOT

FOLDER = Path(__file__).parent / "results"
LATEST = FOLDER / "latest.json"
PLOT = ROOT / "docs/assets/benchmarks.svg"

NOT_MEASURED = "not_measured"
"""The only key in the results of a benchmark that failed or took too long. The value is the reason."""


class Machine(BaseModel):
    model_config = ConfigDict(frozen=True)

    cores: int
    cpu: str
    memory_gb: int
    system: str
    python: str
    pgo: bool = False
    """Whether Python was built with profile-guided optimization (`--enable-optimizations`)."""
    load_at_start: float
    """The load average during the minute before the run.

    A value above a few tenths means that other processes were busy.
    """

    @property
    def summary(self) -> str:
        machine = f"{self.cores} cores of {self.cpu}, {self.memory_gb} GB, {self.system}"
        return f"{machine}, Python {self.python} {'with' if self.pgo else 'without'} --enable-optimizations"


class Results(BaseModel):
    model_config = ConfigDict(frozen=True)

    command: str
    date: str
    machine: Machine
    stolen: float
    """The fraction of processor time that other virtual machines took during the run."""
    parts: dict[str, Any]
    """Maps each benchmark's name to its results."""


def this_machine() -> Machine:
    models = [line.partition(":")[2].strip() for line in _lines("/proc/cpuinfo") if line.startswith("model name")]
    (memory,) = (int(line.split()[1]) for line in _lines("/proc/meminfo") if line.startswith("MemTotal"))
    return Machine(
        cores=len(os.sched_getaffinity(0)),
        cpu=models[0] if models else platform.machine(),
        memory_gb=round(memory / 2**20),
        system=platform.freedesktop_os_release()["PRETTY_NAME"],
        python=platform.python_version(),
        pgo="--enable-optimizations" in (sysconfig.get_config_var("CONFIG_ARGS") or ""),
        load_at_start=os.getloadavg()[0],
    )


def cpu_times() -> tuple[int, int]:
    """Return the total processor time and the stolen processor time since the machine started.

    The times are in clock ticks, added over all cores. The total includes idle time.
    """
    times = [int(each) for each in _lines("/proc/stat")[0].split()[1:9]]
    return sum(times), times[7]


def today() -> str:
    return datetime.now(UTC).date().isoformat()


def last() -> Results:
    return Results.model_validate_json(LATEST.read_text())


def keep(results: Results) -> None:
    FOLDER.mkdir(exist_ok=True)
    LATEST.write_text(results.model_dump_json(indent=1) + "\n")


def _lines(path: str) -> list[str]:
    return Path(path).read_text().splitlines()
