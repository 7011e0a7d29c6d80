"""Measure the throughput and latency of Convoke and of emulate (peer.py) for several numbers of clients.

`plot.py` draws these figures.

If Convoke refuses a request under load, the client waits as long as the header `Retry-After` demands. The throughput
counts only finished conversations. The results also contain the memory of the server, and the longest time from the
creation of a conversation until its activation (0 for emulate).

`python -m tests.benchmarks.sweep [--json PATH]`.
"""

from __future__ import annotations

from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from tests.benchmarks.peer import emulate, install
from tests.benchmarks.runs import measured, run
from tests.benchmarks.server import convoke

CLIENTS = (1, 2, 4, 8, 16, 32, 64, 128, 256)

SECONDS_PER_MEASUREMENT = 3.0


def measure() -> dict[str, Any]:
    """Return a mapping from each kind of request to its figures.

    For each kind, there is one entry per number of clients in `CLIENTS`.
    """
    install()
    with (
        TemporaryDirectory() as folder,
        convoke(Path(folder) / "convoke.db") as ours,
        emulate(Path(folder)) as theirs,
    ):
        sides = {
            "create": partial(measured, ours, ours.create),
            "ready": partial(measured, ours, ours.create_until_active),
            "emulate, ready": partial(measured, theirs, theirs.create_with_members),
        }
        by_clients = [
            {name: side(clients, SECONDS_PER_MEASUREMENT) for name, side in sides.items()} for clients in CLIENTS
        ]
        return {name: [found[name] for found in by_clients] for name in sides}


if __name__ == "__main__":
    run(measure, __doc__)
