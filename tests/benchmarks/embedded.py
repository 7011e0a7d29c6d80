"""How fast `convoke up` takes requests in, beside the yardstick: `python -m tests.benchmarks.embedded [--json PATH]`.

A request has 10 members and is answered with 202; the data file is a new one. In the end the process is killed, and
what it had answered is looked for in the file.
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

MANY, MANY_SECONDS = 16, 8.0
ONE_SECONDS = 3.0
TURNS = 3

LOOKED_FOR = 1000
"""Of the conversations that were answered before the kill, the last so many."""


class Yardstick(Server):
    async def create(self, connection: Connection) -> None:
        """A round: the same request."""
        await connection.ask(post("/", "AC", "token", FORM))


@contextmanager
def yardstick(data: Path) -> Iterator[Yardstick]:
    with subprocess.Popen([*COMMAND, str(data)], stdout=subprocess.PIPE, text=True) as process:
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
        TURNS,
    )
    return {name: medians(found) for name, found in turns.items()}


def killed(data: Path) -> list[str]:
    """The paths of conversations that a process had answered with 202 before it was killed in the midst of its work."""
    created: list[str] = []
    with convoke(data) as instance:

        async def create(connection: Connection) -> None:
            created.append(await instance.create(connection))

        load(instance.address, create, MANY, 1.0)
        instance.process.kill()
    return created[-LOOKED_FOR:]


def found(data: Path, paths: Sequence[str]) -> int:
    """How many of them become active. Raises LoadError where one is not there."""
    with convoke(data) as instance:

        async def look(connection: Connection) -> int:
            for path in paths:
                await instance.wait_until_active(connection, path)
            return len(paths)

        return int(once(instance.address, look))


def measure() -> dict[str, Any]:
    with TemporaryDirectory() as folder:
        data = Path(folder) / "convoke.db"
        with convoke(data) as ours, yardstick(Path(folder) / "yardstick.db") as other:
            created = {
                "one_client": compared(ours, other, 1, ONE_SECONDS),
                "create": compared(ours, other, MANY, MANY_SECONDS),
            }
        paths = killed(data)
        return {**created, "kill": {"answered": len(paths), "active_afterwards": found(data, paths)}}


if __name__ == "__main__":
    run(measure, __doc__)
