"""Generate load: each client sends one request after another on a persistent connection.

All clients run on one thread. The generator runs on the same machine as the measured server, so it must use little
processor time. Therefore the generator uses uvloop, sends prepared bytes, and parses responses as bytes. The figure
`generator_cpu` is the generator's processor time, as a fraction of one core.
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

RESPONSE_TIMEOUT_SECONDS = 60.0

OVERLOADED, RETRY_AFTER_SECONDS = 503, 1.0
"""The status with which Convoke refuses requests under load, and the value of the response's header `Retry-After`."""


class LoadError(Exception):
    """The server sent an error response or no response. Then the figures of the run are invalid."""


class ConnectionLostError(LoadError):
    """The server closed the connection before it sent a response."""


class Answer(NamedTuple):
    status: int
    body: bytes

    def json(self) -> Any:
        return json.loads(self.body)


class Connection(asyncio.Protocol):
    """A persistent connection with at most one pending request."""

    def __init__(self) -> None:
        self.requests = 0
        self._received = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        # The cast is needed, because uvloop's transports do not inherit from asyncio.Transport.
        self._transport = cast("asyncio.Transport", transport)

    def data_received(self, data: bytes) -> None:
        self._received += data
        if answer := parsed(self._received):
            self._received = b""
            self._answer.set_result(answer)

    def connection_lost(self, exc: Exception | None) -> None:
        if self.requests and not self._answer.done():
            self._answer.set_exception(ConnectionLostError(f"a connection was closed: {exc}"))

    async def ask(self, request: bytes) -> Answer:
        """Send a request and return the response.

        If Convoke refuses the request under load, send the request again later. Raises LoadError if the final status is
        not 2xx, or if the connection is lost.
        """
        while (answer := await self._exchange(request)).status == OVERLOADED:
            await asyncio.sleep(RETRY_AFTER_SECONDS)
        if not 200 <= answer.status < 300:
            raise LoadError(f"{answer.status} {answer.body[:300].decode(errors='replace')}")
        return answer

    async def _exchange(self, request: bytes) -> Answer:
        if self._transport.is_closing():
            raise ConnectionLostError("a connection was closed between two requests")
        self.requests += 1
        self._answer = asyncio.get_running_loop().create_future()
        self._transport.write(request)
        answer: Answer = await self._answer
        return answer

    def close(self) -> None:
        self._transport.close()


Round = Callable[[Connection], Awaitable[object]]
"""A function that a client calls repeatedly.

Each call is a round. The generator measures the duration of each round.
"""


def parsed(received: bytes) -> Answer | None:
    """Parse the received bytes. Return the response, or None if the response is incomplete."""
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
    """The measurements during one period of load."""

    clients: int
    seconds: float
    in_time: int
    """The number of rounds that ended within `seconds`."""
    requests: int
    milliseconds: Sequence[float]
    """The duration of each round, including rounds that ended after `seconds`."""
    generator_cpu: float
    """The processor time of the generator, as a fraction of one core."""

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
    """Let each client call `work` repeatedly for `seconds`, and then wait for the last rounds.

    Raises LoadError if a request fails, OSError if no process listens on the address, and TimeoutError if the last
    rounds take longer than RESPONSE_TIMEOUT_SECONDS.
    """
    return uvloop.run(_load(address, work, clients, seconds))


def once(address: Address, work: Callable[[Connection], Awaitable[Any]]) -> Any:
    """Run `work` once with one client. Return the result of `work`."""
    return uvloop.run(_once(address, work))


async def _once(address: Address, work: Callable[[Connection], Awaitable[Any]]) -> Any:
    connection = await connected(address)
    try:
        return await asyncio.wait_for(work(connection), RESPONSE_TIMEOUT_SECONDS)
    finally:
        connection.close()


async def _load(address: Address, work: Round, clients: int, seconds: float) -> Load:
    connections = [await connected(address) for _ in range(clients)]
    try:
        return await _rounds(connections, work, seconds)
    finally:
        for connection in connections:
            connection.close()


async def connected(address: Address) -> Connection:
    """Open a connection.

    Raises OSError if no process listens on the address.
    """
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

    await asyncio.wait_for(asyncio.gather(*map(go_on, connections)), seconds + RESPONSE_TIMEOUT_SECONDS)
    share = (time.process_time() - used) / (time.perf_counter() - begun)
    in_time = sum(at <= end for at, _ in ended)
    requests = sum(connection.requests for connection in connections)
    return Load(len(connections), seconds, in_time, requests, [took * 1000 for _, took in ended], share)
