"""Measure how soon chat clients receive a message, and how much memory the server needs.

`python -m tests.benchmarks.chat [--json PATH]`. 500 clients are connected, and each conversation has 50 clients. A
member sends a message. The benchmark measures the time until all 50 members have received the message. The benchmark
measures the memory while the 500 clients are connected, and before and after 10,000 further connections. It also
measures how many of these connections are opened and closed per second.

For comparison, the benchmark also measures a server that uses only the package `websockets`. That server sends each
received frame to 50 clients.
"""

from __future__ import annotations

import asyncio
import json
import statistics
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any
from urllib.parse import urlencode
from uuid import uuid4

import uvloop
from websockets.asyncio.client import ClientConnection, connect
from websockets.asyncio.server import ServerConnection, broadcast, serve

from convoke.api.chat.frames import Frame, parse_frame, write_frame
from tests.benchmarks.load import Connection, once
from tests.benchmarks.runs import run
from tests.benchmarks.server import Convoke, Process, convoke
from tests.support.chat import Key

CLIENTS, MEMBERS = 500, 50

MESSAGES, WARM_UP_MESSAGES = 300, 30

RECONNECTS, WARM_UP_RECONNECTS = 10_000, 1_000

CONNECTED_AT_ONCE = 20

CONVERSATIONS = CLIENTS // MEMBERS


def identities(conversation: int) -> list[str]:
    return [f"member {number}" for number in range(conversation * MEMBERS, (conversation + 1) * MEMBERS)]


@contextmanager
def bare_server() -> Iterator[tuple[str, Process]]:
    """Start a server in a new process that uses only the package `websockets`.

    Yield the server's URL and the process.
    """
    command = [sys.executable, "-m", "tests.benchmarks.chat", "--bare"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        try:
            yield process.stdout.readline().strip(), Process(process.pid)
        finally:
            process.kill()


async def serve_bare() -> None:
    """Run the comparison server, which sends each received frame to all clients that use the same path as the sender.

    The path of the URL takes the place of the conversation.
    """
    groups: dict[str, set[ServerConnection]] = {}

    async def handle(connection: ServerConnection) -> None:
        assert connection.request is not None
        group = groups.setdefault(connection.request.path, set())
        group.add(connection)
        try:
            async for frame in connection:
                broadcast(group, frame)
        finally:
            group.discard(connection)

    async with serve(handle, "127.0.0.1", 0, compression=None) as server:
        print(f"ws://127.0.0.1:{next(iter(server.sockets)).getsockname()[1]}", flush=True)
        await server.wait_closed()


def frame_of(method: str, header: Mapping[str, Any], payload: Any = None) -> bytes:
    encoded = b"" if payload is None else json.dumps(payload).encode()
    return write_frame(Frame(method, f"TM{uuid4()}", header, encoded))


def call_of(method: str, path: str, payload: Any = None) -> bytes:
    headers = {"Content-Type": "application/json"}
    return frame_of("message", {"http_request": {"path": path, "method": method, "headers": headers}}, payload)


async def reply_on(socket: ClientConnection) -> Any:
    """Skip frames until a reply arrives. Return the payload of the reply."""
    while True:
        frame = parse_frame(await socket.recv(decode=False))
        if frame.method == "reply":
            assert frame.header["status"]["code"] == 200, frame
            assert frame.header.get("http_status", {"code": 200})["code"] < 300, frame
            return json.loads(frame.payload) if frame.payload else None


async def until_subscribed(socket: ClientConnection) -> None:
    while b"subscription_established" not in await socket.recv(decode=False):
        pass


@asynccontextmanager
async def chat_client(url: str, token: str) -> AsyncIterator[ClientConnection]:
    async with connect(url, compression=None, max_size=None, ping_interval=None) as socket:
        await socket.send(frame_of("init", {"token": token, "capabilities": []}))
        await reply_on(socket)
        yield socket


async def subscribed_client(url: str, token: str, conversation_sid: str, stack: AsyncExitStack) -> ClientConnection:
    """Connect a client. Subscribe the client to a conversation and its messages, as the SDK does."""
    socket = await stack.enter_async_context(chat_client(url, token))
    for kind, path in (
        ("list", f"/v3/Lists/{conversation_sid}.messages"),
        ("document", f"/v3/Documents/{conversation_sid}.channel"),
    ):
        await socket.send(call_of("GET", path))
        found = await reply_on(socket)
        requests = [{"object_sid": found["sid"], "object_type": kind, "last_event_id": found["last_event_id"]}]
        body = {"action": "establish", "correlation_id": 1, "requests": requests}
        await socket.send(call_of("POST", "/v4/Subscriptions", body))
        await until_subscribed(socket)
    return socket


async def message_arrives(socket: ClientConnection, marker: bytes) -> None:
    while marker not in await socket.recv(decode=False):
        pass


async def milliseconds(
    groups: Sequence[Sequence[ClientConnection]], send: Callable[[int, ClientConnection, str], Awaitable[None]]
) -> dict[str, float]:
    """Send messages one after another. Return statistics about the time until all members have a message.

    Each element of `groups` has the clients of one conversation. `send` receives the index of the element, the client
    that sends, and the text of the message.
    """
    found = []
    for number in range(WARM_UP_MESSAGES + MESSAGES):
        group = number % len(groups)
        marker = f"message-{number:06}-"
        arrivals = [asyncio.create_task(message_arrives(socket, marker.encode())) for socket in groups[group]]
        begun = time.perf_counter()
        await send(group, groups[group][0], marker)
        await asyncio.gather(*arrivals)
        found.append((time.perf_counter() - begun) * 1000)
    measured = sorted(found[WARM_UP_MESSAGES:])
    return {
        "p50_ms": round(statistics.median(measured), 2),
        "p99_ms": round(measured[int(len(measured) * 0.99)], 2),
        "max_ms": round(measured[-1], 2),
    }


async def measured_bare(url: str, frame_bytes: int) -> dict[str, float]:
    async with AsyncExitStack() as stack:
        groups = [
            [
                await stack.enter_async_context(connect(f"{url}/{group}", compression=None, ping_interval=None))
                for _ in range(MEMBERS)
            ]
            for group in range(CONVERSATIONS)
        ]

        async def send(_: int, socket: ClientConnection, marker: str) -> None:
            await socket.send(marker.encode().ljust(frame_bytes, b"x"))

        return await milliseconds(groups, send)


async def measured_chat(url: str, key: Key, sids: Sequence[str], memory: Callable[[], float]) -> dict[str, Any]:
    """Return the measured times, the size of a message notification, and the memory while all clients are connected.

    `memory` returns the server's memory in megabytes.
    """
    async with AsyncExitStack() as stack:
        groups = [
            [await subscribed_client(url, key.token(identity), sid, stack) for identity in identities(number)]
            for number, sid in enumerate(sids)
        ]
        path = f"/Client/v2/Services/{key.chat_service_sid}/Conversations"

        async def send(group: int, socket: ClientConnection, marker: str) -> None:
            await socket.send(call_of("POST", f"{path}/{sids[group]}/Messages", {"body": marker}))

        found = await milliseconds(groups, send)
        await send(0, groups[0][0], "size")
        while b"list_item_added" not in (frame := await groups[0][1].recv(decode=False)):
            pass
        return {"times": found, "frame_bytes": len(frame), "memory_mb": memory()}


async def reconnect(url: str, tokens: Sequence[str], times: int) -> None:
    """Connect and disconnect clients `times` times in total. Each token has one client at a time."""
    left = iter(range(times))

    async def client(token: str) -> None:
        for _ in left:
            async with chat_client(url, token):
                pass

    await asyncio.gather(*(client(token) for token in tokens))


async def prepared(instance: Convoke, connection: Connection) -> tuple[Key, list[str]]:
    """Create an API key and conversations with members. Return the key and the conversation SIDs."""
    keys = f"/2010-04-01/Accounts/{instance.account_sid}/Keys.json"
    created = (await connection.ask(instance.post(keys, b""))).json()
    service = (await connection.ask(instance.get("/v1/Configuration"))).json()["default_chat_service_sid"]
    sids = []
    for number in range(CONVERSATIONS):
        sids.append((await connection.ask(instance.post("/v1/Conversations", b""))).json()["sid"])
        for identity in identities(number):
            form = urlencode({"Identity": identity}).encode()
            await connection.ask(instance.post(f"/v1/Conversations/{sids[-1]}/Participants", form))
    return Key(instance.account_sid, created["sid"], created["secret"], service), sids


def measure() -> dict[str, Any]:
    with TemporaryDirectory() as folder, convoke(Path(folder) / "convoke.db") as instance, bare_server() as (bare, _):
        key, sids = once(instance.address, partial(prepared, instance))
        url = "ws://{}:{}/v3/wsconnect".format(*instance.address)
        chat = uvloop.run(measured_chat(url, key, sids, instance.process.memory))
        broadcast = uvloop.run(measured_bare(bare, chat["frame_bytes"]))
        tokens = [key.token(f"member {number}") for number in range(CONNECTED_AT_ONCE)]
        uvloop.run(reconnect(url, tokens, WARM_UP_RECONNECTS))
        before = instance.process.memory()
        begun = time.perf_counter()
        uvloop.run(reconnect(url, tokens, RECONNECTS))
        return {
            "convoke": chat["times"],
            "bare": broadcast,
            "frame_bytes": chat["frame_bytes"],
            "memory_500_clients_mb": round(chat["memory_mb"], 1),
            "reconnects": {
                "before_mb": round(before, 1),
                "after_mb": round(instance.process.memory(), 1),
                "per_second": round(RECONNECTS / (time.perf_counter() - begun)),
            },
        }


if __name__ == "__main__":
    if "--bare" in sys.argv:
        uvloop.run(serve_bare())
    else:
        run(measure, __doc__)
