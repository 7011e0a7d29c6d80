"""Measure whether creating a message takes longer in a large conversation.

`python -m tests.benchmarks.messages [--json PATH]`. One conversation has 10 chat members, and another has 1,000. One
client sends the messages. The author of each message is a member.
"""

from __future__ import annotations

from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any
from urllib.parse import urlencode

from tests.benchmarks.load import Connection, load, once
from tests.benchmarks.runs import WARM_UP_SECONDS, alternately, medians, run
from tests.benchmarks.server import Convoke, convoke

MEMBERS = (10, 1000)

MEASUREMENTS = 3

SECONDS_PER_MEASUREMENT = 2.0

MESSAGE = urlencode({"Body": "Hello", "Author": "member 3"}).encode()


async def conversation(instance: Convoke, members: int, connection: Connection) -> str:
    """Create a conversation with `members` members, which must be at least 10. Return the conversation's path."""
    path = await instance.create_until_active(connection)
    for number in range(10, members):
        identity = urlencode({"Identity": f"member {number}"}).encode()
        await connection.ask(instance.post(f"{path}/Participants", identity))
    return path


def measured(instance: Convoke, path: str) -> dict[str, float]:
    async def create(connection: Connection) -> None:
        await connection.ask(request)

    request = instance.post(f"{path}/Messages", MESSAGE)
    load(instance.address, create, 1, WARM_UP_SECONDS)
    return load(instance.address, create, 1, SECONDS_PER_MEASUREMENT).figures()


def measure() -> dict[str, Any]:
    """Measure both conversations. Return a mapping from the number of members to the figures."""
    with TemporaryDirectory() as folder, convoke(Path(folder) / "convoke.db") as instance:
        paths = {each: once(instance.address, partial(conversation, instance, each)) for each in MEMBERS}
        sides = {str(members): partial(measured, instance, path) for members, path in paths.items()}
        return {members: medians(turns) for members, turns in alternately(sides, MEASUREMENTS).items()}


if __name__ == "__main__":
    run(measure, __doc__)
