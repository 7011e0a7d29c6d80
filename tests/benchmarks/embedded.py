"""Measure how fast `convoke up` and a minimal server, the yardstick (`yardstick.py`), accept requests.

`python -m tests.benchmarks.embedded [--json PATH]`. Each request creates a conversation of 10 participants. At the
end, the benchmark kills a process of Convoke immediately after a second of load, and starts a new process. The
benchmark then checks that the last accepted conversations become active.
"""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from tests.benchmarks.load import Connection, load, once
from tests.benchmarks.runs import alternately, measured, medians, run
from tests.benchmarks.server import FORM, Convoke, Server, convoke, post
from tests.benchmarks.yardstick import COMMAND

MANY_CLIENTS, MANY_CLIENTS_SECONDS = 16, 8.0
ONE_CLIENT_SECONDS = 3.0
OVERLOAD_CLIENTS = 256
MEASUREMENTS = 3

MAX_CHECKED_AFTER_KILL = 1000
"""The maximum number of conversations that are checked after the kill.

If Convoke has accepted more conversations, the benchmark checks the last ones.
"""


class Yardstick(Server):
    async def create(self, connection: Connection) -> None:
        """Perform one round: send the yardstick the form that clients send to Convoke."""
        await connection.ask(post("/", "AC", "token", FORM))


@contextmanager
def yardstick(data: Path, model: Path) -> Iterator[Yardstick]:
    """Run the yardstick, a minimal server that stores the rows of one conversation for each request.

    `model` is a data file of Convoke with an active conversation. The yardstick copies the rows of this conversation.
    """
    with subprocess.Popen([*COMMAND, str(data), str(model)], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        try:
            yield Yardstick(json.loads(process.stdout.readline()))
        finally:
            process.kill()


def compared(ours: Convoke, other: Yardstick, clients: int, seconds: float) -> dict[str, dict[str, float]]:
    turns = alternately(
        {
            "convoke": lambda: measured(ours, ours.create, clients, seconds),
            "yardstick": lambda: measured(other, other.create, clients, seconds),
        },
        MEASUREMENTS,
    )
    return {name: medians(found) for name, found in turns.items()}


def killed(data: Path) -> list[str]:
    """Kill Convoke after a second of load. Return the paths of the conversations that were accepted last."""
    created: list[str] = []
    with convoke(data) as instance:

        async def create(connection: Connection) -> None:
            created.append(await instance.create(connection))

        load(instance.address, create, MANY_CLIENTS, 1.0)
        instance.process.kill()
    return created[-MAX_CHECKED_AFTER_KILL:]


def active_after_restart(data: Path, paths: Sequence[str]) -> int:
    """Start Convoke again. Wait until all conversations in `paths` are active. Return the number of `paths`.

    Raises LoadError if a conversation does not exist or gets another state than active. Raises TimeoutError after
    RESPONSE_TIMEOUT_SECONDS.
    """
    with convoke(data) as instance:

        async def look(connection: Connection) -> int:
            for path in paths:
                await instance.wait_until_active(connection, path)
            return len(paths)

        return int(once(instance.address, look))


def measure() -> dict[str, Any]:
    with TemporaryDirectory() as folder:
        data = Path(folder) / "convoke.db"
        with convoke(data) as ours:
            once(ours.address, ours.create_until_active)
            with yardstick(Path(folder) / "yardstick.db", data) as other:
                created: dict[str, Any] = {
                    "one_client": compared(ours, other, 1, ONE_CLIENT_SECONDS),
                    "create": compared(ours, other, MANY_CLIENTS, MANY_CLIENTS_SECONDS),
                }
            created["overload"] = measured(ours, ours.create, OVERLOAD_CLIENTS, MANY_CLIENTS_SECONDS)
        paths = killed(data)
        return {**created, "kill": {"answered": len(paths), "active_afterwards": active_after_restart(data, paths)}}


if __name__ == "__main__":
    run(measure, __doc__)
