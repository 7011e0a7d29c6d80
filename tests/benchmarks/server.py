"""`convoke up` in a process of its own, and what its clients ask of it."""

from __future__ import annotations

import asyncio
import base64
import os
import signal
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from random import Random
from typing import Any
from urllib.parse import urlencode, urlsplit

from tests.benchmarks.load import Address, Connection, once
from tests.support.examples import chat
from tests.support.processes import up

POLL_PAUSE = 0.005
"""Seconds between two looks at whether a conversation is active."""

LAST, OTHERS = 16, 48
"""Conversations by which a backlog is known to be worked off: filtering all of them by state would take longer."""

FORM = urlencode({"FriendlyName": "Visit", "Participant": chat(10)}, doseq=True).encode()

PAGE = os.sysconf("SC_PAGE_SIZE")
TICKS = os.sysconf("SC_CLK_TCK")


def address_of(url: str) -> Address:
    parts = urlsplit(url)
    assert parts.hostname
    assert parts.port
    return parts.hostname, parts.port


def get(path: str, user: str, password: str) -> bytes:
    return f"GET {path} HTTP/1.1\r\n{_fields(user, password)}\r\n".encode()


def post(path: str, user: str, password: str, form: bytes) -> bytes:
    head = f"POST {path} HTTP/1.1\r\n{_fields(user, password)}"
    return (
        f"{head}Content-Type: application/x-www-form-urlencoded\r\nContent-Length: {len(form)}\r\n\r\n".encode() + form
    )


def _fields(user: str, password: str) -> str:
    credentials = base64.b64encode(f"{user}:{password}".encode()).decode()
    return f"Host: 127.0.0.1\r\nAuthorization: Basic {credentials}\r\n"


@dataclass(frozen=True)
class Process:
    """A server and whatever it has started."""

    pid: int

    def memory(self) -> float:
        """Resident megabytes; what processes share counts once for each."""
        return sum(int(Path(f"/proc/{pid}/statm").read_text().split()[1]) for pid in self._all()) * PAGE / 1e6

    def cpu(self) -> float:
        """Seconds so far."""
        stats = (Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split() for pid in self._all())
        return sum(int(stat[11]) + int(stat[12]) for stat in stats) / TICKS

    def kill(self) -> None:
        """As a crash does, in the midst of whatever it does."""
        for pid in self._all():
            os.kill(pid, signal.SIGKILL)

    def _all(self) -> list[int]:
        found = [self.pid]
        for pid in found:
            for children in Path(f"/proc/{pid}/task").glob("*/children"):
                found += map(int, children.read_text().split())
        return found


class Server:
    """Whatever listens and is measured. `ready` has its `url` and its `pid`."""

    def __init__(self, ready: Mapping[str, Any]) -> None:
        self.address = address_of(ready["url"])
        self.process = Process(ready["pid"])

    def work_off(self) -> float:
        """Seconds until nothing is left to do of what was answered."""
        return 0.0


class Convoke(Server):
    """One instance, as its clients see it."""

    def __init__(self, ready: Mapping[str, Any]) -> None:
        super().__init__(ready)
        self.account_sid: str = ready["account_sid"]
        self._credentials = (self.account_sid, ready["auth_token"])
        self._post = post("/v1/ConversationWithParticipants", *self._credentials, FORM)
        self._created: list[str] = []

    def get(self, path: str) -> bytes:
        return get(path, *self._credentials)

    async def create(self, connection: Connection) -> str:
        """A round: 10 members, 202. The path of the conversation."""
        answer = await connection.ask(self._post)
        path = f"/v1/Conversations/{answer.json()['sid']}"
        self._created.append(path)
        return path

    async def create_until_active(self, connection: Connection) -> str:
        """A round: asked for until the members are in."""
        path = await self.create(connection)
        await self.wait_until_active(connection, path)
        return path

    async def wait_until_active(self, connection: Connection, path: str) -> None:
        request = self.get(path)
        while (await connection.ask(request)).json()["state"] == "initializing":
            await asyncio.sleep(POLL_PAUSE)

    async def list_page(self, connection: Connection) -> None:
        """A round: the first 50 conversations."""
        await connection.ask(self.get("/v1/Conversations"))

    def work_off(self) -> float:
        """Seconds until those are active that were made last, and some of those before, since it was asked before."""
        last, others = self._created[-LAST:], self._created[:-LAST]
        self._created = []
        begun = time.perf_counter()
        once(self.address, partial(self._wait_for, [*last, *Random(0).sample(others, min(OTHERS, len(others)))]))
        return time.perf_counter() - begun

    async def _wait_for(self, paths: Sequence[str], connection: Connection) -> None:
        for path in paths:
            await self.wait_until_active(connection, path)


@contextmanager
def convoke(data: Path) -> Iterator[Convoke]:
    """An instance on this data file, as `convoke up` runs it where nothing else is said."""
    with up("--data", str(data)) as running:
        yield Convoke(running.ready)
