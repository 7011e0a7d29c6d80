"""Measures `convoke up`: `uv run python -m tests.benchmarks.embedded`. Not a test; numbers depend on the machine."""

from __future__ import annotations

import asyncio
import base64
import json
import statistics
import subprocess
import tempfile
import time
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any
from urllib.parse import urlencode, urlsplit

from tests.support.examples import chat
from tests.support.processes import UP

CLIENTS = 16
SECONDS = 5.0
ONE_BY_ONE = 200

Ready = dict[str, Any]


class Connection:
    """A keep-alive connection that does no more than it must, as it shares the machine with what it measures."""

    def __init__(self, ready: Ready) -> None:
        parts = urlsplit(ready["url"])
        self._host, self._port = parts.hostname, parts.port
        credentials = f"{ready['account_sid']}:{ready['auth_token']}"
        self._head = (
            f"Host: {parts.netloc}\r\nAuthorization: Basic {base64.b64encode(credentials.encode()).decode()}\r\n"
        )

    async def open(self) -> Connection:
        self._reader, self._writer = await asyncio.open_connection(self._host, self._port)
        return self

    async def request(self, method: str, path: str, body: str = "") -> dict[str, Any]:
        form = f"Content-Type: application/x-www-form-urlencoded\r\nContent-Length: {len(body)}\r\n" if body else ""
        self._writer.write(f"{method} {path} HTTP/1.1\r\n{self._head}{form}\r\n{body}".encode())
        head = (await self._reader.readuntil(b"\r\n\r\n")).lower()
        length = int(head.split(b"content-length: ")[1].split(b"\r\n")[0])
        answer: dict[str, Any] = json.loads(await self._reader.readexactly(length))
        return answer


BODY = urlencode({"FriendlyName": "Visit", "Participant": chat(10)}, doseq=True)


async def create(connection: Connection) -> dict[str, Any]:
    return await connection.request("POST", "/v1/ConversationWithParticipants", BODY)


async def create_until_active(connection: Connection) -> None:
    path = urlsplit((await create(connection))["url"]).path
    while (await connection.request("GET", path))["state"] == "initializing":
        await asyncio.sleep(0.001)


async def one_by_one(ready: Ready, work: Callable[[Connection], Coroutine[Any, Any, object]]) -> list[float]:
    """Milliseconds of each of many rounds of one client, after some to warm up."""
    connection, times = await Connection(ready).open(), []
    for turn in range(ONE_BY_ONE + 20):
        begun = time.perf_counter()
        await work(connection)
        if turn >= 20:
            times.append((time.perf_counter() - begun) * 1000)
    return times


async def per_second(ready: Ready, work: Callable[[Connection], Coroutine[Any, Any, object]]) -> float:
    """Rounds a second of many clients at once."""
    connections = [await Connection(ready).open() for _ in range(CLIENTS)]
    until = time.perf_counter() + SECONDS

    async def run(connection: Connection) -> int:
        rounds = 0
        while time.perf_counter() < until:
            await work(connection)
            rounds += 1
        return rounds

    return sum(await asyncio.gather(*map(run, connections))) / SECONDS


async def settled(ready: Ready) -> float:
    """Seconds until a conversation made last is active, that is until the backlog before it is worked off."""
    begun = time.perf_counter()
    await create_until_active(await Connection(ready).open())
    return time.perf_counter() - begun


def quantiles(times: list[float]) -> str:
    return f"p50 {statistics.median(times):.2f} ms, p99 {statistics.quantiles(times, n=100)[98]:.2f} ms"


def memory(pid: int) -> float:
    """Resident megabytes."""
    pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
    return pages * 4096 / 1e6


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        begun = time.perf_counter()
        command = [*UP, "--data", str(Path(folder) / "convoke.db")]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
            assert process.stdout is not None
            ready = json.loads(process.stdout.readline())
            print(f"ready after {(time.perf_counter() - begun) * 1000:.0f} ms")
            print(f"memory idle {memory(ready['pid']):.0f} MB")
            print(f"POST, 10 members, 202, one client: {quantiles(asyncio.run(one_by_one(ready, create)))}")
            print(f"POST until active, one client: {quantiles(asyncio.run(one_by_one(ready, create_until_active)))}")
            print(f"creates a second, {CLIENTS} clients: {asyncio.run(per_second(ready, create)):.0f}")
            print(f"backlog worked off after {asyncio.run(settled(ready)):.2f} s")
            print(f"active a second, {CLIENTS} clients: {asyncio.run(per_second(ready, create_until_active)):.0f}")
            print(f"memory after {memory(ready['pid']):.0f} MB")
            process.terminate()


if __name__ == "__main__":
    main()
