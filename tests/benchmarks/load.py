"""The load generator: clients that keep their connections and ask one thing after another, all on one thread.

It shares the machine with what it measures, so it does no more than it must: uvloop, requests that are bytes made
beforehand, answers that are looked at as bytes. `generator_cpu` among the figures says what it took all the same.
"""

from __future__ import annotations

import asyncio
import json
import statistics
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple, cast

import uvloop

Address = tuple[str, int]

PATIENCE = 60.0
"""Seconds that an answer may take."""


class LoadError(Exception):
    """A server answered with anything but success, or not at all: its figures would mean nothing."""


class Answer(NamedTuple):
    status: int
    body: bytes

    def json(self) -> Any:
        return json.loads(self.body)


class Connection(asyncio.Protocol):
    """Kept alive, with one request under way at a time."""

    def __init__(self) -> None:
        self.requests = 0
        self._received = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        # One of uvloop, which are of no class of asyncio's.
        self._transport = cast("asyncio.Transport", transport)

    def data_received(self, data: bytes) -> None:
        self._received += data
        if answer := parsed(self._received):
            self._received = b""
            self._answer.set_result(answer)

    def connection_lost(self, exc: Exception | None) -> None:
        if self.requests and not self._answer.done():
            self._answer.set_exception(LoadError(f"a connection was closed: {exc}"))

    async def ask(self, request: bytes) -> Answer:
        """Raises LoadError."""
        self.requests += 1
        self._answer = asyncio.get_running_loop().create_future()
        self._transport.write(request)
        answer: Answer = await self._answer
        if not 200 <= answer.status < 300:
            raise LoadError(f"{answer.status} {answer.body[:300].decode(errors='replace')}")
        return answer

    def close(self) -> None:
        self._transport.close()


Round = Callable[[Connection], Awaitable[object]]
"""What a client does again and again, and what is timed as one."""


def parsed(received: bytes) -> Answer | None:
    """The answer that these bytes are; None where more of it is to come."""
    head, found, body = received.partition(b"\r\n\r\n")
    if not found:
        return None
    fields = head.lower()
    _, has_length, rest = fields.partition(b"content-length:")
    if has_length:
        whole = len(body) >= int(rest.partition(b"\r\n")[0])
    elif b"transfer-encoding: chunked" in fields:
        whole, body = body.endswith(b"0\r\n\r\n"), unchunked(body)
    else:
        whole = True
    return Answer(int(head[9:12]), body) if whole else None


def unchunked(body: bytes) -> bytes:
    chunks = []
    while body:
        size, _, rest = body.partition(b"\r\n")
        length = int(size, 16)
        chunks.append(rest[:length])
        body = rest[length + 2 :]
    return b"".join(chunks)


@dataclass(frozen=True)
class Load:
    """What came of it. `in_time` rounds ended before the end; `milliseconds` are those of all."""

    clients: int
    seconds: float
    in_time: int
    requests: int
    milliseconds: Sequence[float]
    generator_cpu: float
    """Of one core."""

    @property
    def per_second(self) -> float:
        return self.in_time / self.seconds

    def percentile(self, percent: int) -> float:
        return statistics.quantiles(self.milliseconds, n=100, method="inclusive")[percent - 1]

    def figures(self) -> dict[str, float]:
        return {
            "clients": self.clients,
            "rounds": len(self.milliseconds),
            "requests_a_round": round(self.requests / len(self.milliseconds), 2),
            "per_second": round(self.per_second, 1),
            **{f"p{percent}_ms": round(self.percentile(percent), 3) for percent in (50, 95, 99)},
            "generator_cpu": round(self.generator_cpu, 3),
        }


def load(address: Address, work: Round, clients: int, seconds: float) -> Load:
    """Keep so many clients busy for so long; rounds that are under way at the end come to theirs. Raises LoadError."""
    return uvloop.run(_load(address, work, clients, seconds))


def once(address: Address, work: Callable[[Connection], Awaitable[Any]]) -> Any:
    """What one client gets by one round."""
    return uvloop.run(_once(address, work))


async def _once(address: Address, work: Callable[[Connection], Awaitable[Any]]) -> Any:
    connection = await _connected(address)
    try:
        return await asyncio.wait_for(work(connection), PATIENCE)
    finally:
        connection.close()


async def _load(address: Address, work: Round, clients: int, seconds: float) -> Load:
    connections = [await _connected(address) for _ in range(clients)]
    try:
        return await _rounds(connections, work, seconds)
    finally:
        for connection in connections:
            connection.close()


async def _connected(address: Address) -> Connection:
    _, connection = await asyncio.get_running_loop().create_connection(Connection, *address)
    return connection


async def _rounds(connections: Sequence[Connection], work: Round, seconds: float) -> Load:
    begun, used = time.perf_counter(), time.process_time()
    end = begun + seconds
    ended: list[tuple[float, float]] = []

    async def go_on(connection: Connection) -> None:
        now = time.perf_counter()
        while now < end:
            before = now
            await work(connection)
            now = time.perf_counter()
            ended.append((now, now - before))

    await asyncio.wait_for(asyncio.gather(*map(go_on, connections)), seconds + PATIENCE)
    share = (time.process_time() - used) / (time.perf_counter() - begun)
    in_time = sum(at <= end for at, _ in ended)
    requests = sum(connection.requests for connection in connections)
    return Load(len(connections), seconds, in_time, requests, [took * 1000 for _, took in ended], share)
