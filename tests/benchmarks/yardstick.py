"""The yardstick: a minimal program that shows how many requests the machine can serve.

The yardstick uses the HTTP server of Convoke, and makes one small transaction per request. `python -m
tests.benchmarks.yardstick PATH` listens like `convoke up --json`. The yardstick parses the form, and stores the form in
two rows of the SQLite file. The rows are as durable as the rows of Convoke. The response has the status 202 and a body
as long as the body of Convoke's response.

The figures of Convoke are shown next to the figures of the yardstick. The ratio of both figures can be compared between
machines, and also on a busy machine.
"""

from __future__ import annotations

import json
import os
import sqlite3
import sys
from collections.abc import Awaitable, Callable
from typing import Any
from urllib.parse import parse_qs

import uvicorn

from convoke.embedded.server import listening_socket

COMMAND = (sys.executable, "-m", "tests.benchmarks.yardstick")

BODY = json.dumps({"sid": "CH" + 32 * "0", "filler": 700 * "."}).encode()

HEADERS = [(b"content-type", b"application/json"), (b"content-length", str(len(BODY)).encode())]

Message = dict[str, Any]


class Yardstick:
    """The ASGI application that stores each request."""

    def __init__(self, path: str) -> None:
        self._connection = sqlite3.connect(path, isolation_level=None)
        self._connection.execute("PRAGMA journal_mode = WAL")
        self._connection.execute("PRAGMA synchronous = NORMAL")
        self._connection.execute("CREATE TABLE items (number INTEGER PRIMARY KEY, body TEXT NOT NULL)")

    async def __call__(
        self,
        scope: Message,
        receive: Callable[[], Awaitable[Message]],
        send: Callable[[Message], Awaitable[None]],
    ) -> None:
        form, more = b"", True
        while more:
            message = await receive()
            form, more = form + message["body"], message["more_body"]
        self._store(json.dumps(parse_qs(form.decode())))
        await send({"type": "http.response.start", "status": 202, "headers": HEADERS})
        await send({"type": "http.response.body", "body": BODY})

    def _store(self, body: str) -> None:
        self._connection.execute("BEGIN IMMEDIATE")
        self._connection.execute("INSERT INTO items (body) VALUES (?), (?)", (body, body))
        self._connection.execute("COMMIT")


def main() -> None:
    with listening_socket("127.0.0.1", 0) as listener:
        url = f"http://127.0.0.1:{listener.getsockname()[1]}"
        print(json.dumps({"url": url, "pid": os.getpid()}), flush=True)
        config = uvicorn.Config(Yardstick(sys.argv[1]), lifespan="off", access_log=False, log_config=None)
        uvicorn.Server(config).run(sockets=[listener])


if __name__ == "__main__":
    main()
