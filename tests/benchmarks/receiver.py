"""Run a webhook receiver that answers 200 immediately.

`python -m tests.benchmarks.receiver` prints its URL and its process ID as one line of JSON, like `convoke up --json`.
"""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from functools import partial
from typing import Any, cast

import uvloop

ANSWER = b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"

OnCall = Callable[[bytes], object]
"""Receives the body of each webhook call."""


class ReceiverConnection(asyncio.Protocol):
    """A persistent connection to a webhook client. The client sends one request at a time."""

    def __init__(self, on_call: OnCall) -> None:
        self._on_call = on_call
        self._received = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        # The cast is needed, because uvloop's transports do not inherit from asyncio.Transport.
        self._transport = cast("asyncio.Transport", transport)

    def data_received(self, data: bytes) -> None:
        self._received += data
        head, is_whole, body = self._received.partition(b"\r\n\r\n")
        if is_whole and len(body) >= content_length(head):
            self._received = b""
            self._on_call(body)
            self._transport.write(ANSWER)


def content_length(head: bytes) -> int:
    return int(head.lower().partition(b"content-length:")[2].partition(b"\r\n")[0] or 0)


@asynccontextmanager
async def receiving(on_call: OnCall) -> AsyncIterator[str]:
    """Run the receiver on the current event loop until the block ends. Yields the receiver's URL."""
    loop = asyncio.get_running_loop()
    async with await loop.create_server(partial(ReceiverConnection, on_call), "127.0.0.1", 0) as server:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/"


@contextmanager
def receiver() -> Iterator[dict[str, Any]]:
    """Run the receiver in a new process until the block ends. Yields the JSON that the process printed."""
    command = [sys.executable, "-m", "tests.benchmarks.receiver"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        try:
            yield json.loads(process.stdout.readline())
        finally:
            process.kill()


async def serve() -> None:
    async with receiving(lambda _: None) as url:
        print(json.dumps({"url": url, "pid": os.getpid()}), flush=True)
        await asyncio.Event().wait()


if __name__ == "__main__":
    uvloop.run(serve())
