"""Run the yardstick, a server that stores the rows of one conversation in one transaction per request.

`python -m tests.benchmarks.yardstick PATH MODEL` prints its URL and its process ID as one line of JSON, like
`convoke up --json`. MODEL is a data file of Convoke with one active conversation. For each request, the yardstick
copies the rows of this conversation into the new data file PATH. Each copy has a new conversation SID. The response has
the status 202 and a body that is about as long as Convoke's.

Like Convoke, the yardstick runs on uvicorn. The yardstick validates nothing and runs no steps.

The benchmarks show Convoke's figures next to the yardstick's figures. Thus a reader can compare figures from different
machines, or from a busy machine.
"""

from __future__ import annotations

import json
import os
import sqlite3
import sys
from collections.abc import Awaitable, Callable
from contextlib import closing
from itertools import count
from typing import Any
from urllib.parse import parse_qs

import uvicorn

from convoke.embedded.data_format import open_data_file
from convoke.embedded.server import listening_socket

COMMAND = (sys.executable, "-m", "tests.benchmarks.yardstick")

BODY = json.dumps({"sid": "CH" + 32 * "0", "filler": 700 * "."}).encode()

HEADERS = [(b"content-type", b"application/json"), (b"content-length", str(len(BODY)).encode())]

Message = dict[str, Any]

Row = tuple[str | float | None, ...]
"""The values of all columns in a row of the table `items`."""


def rows_of_a_conversation(model: str) -> tuple[str, list[Row]]:
    """Return the SID of the first conversation in a data file, and all rows that contain this SID."""
    with closing(sqlite3.connect(model)) as connection:
        (pk,) = connection.execute("SELECT pk FROM items WHERE sk = 'conversation' LIMIT 1").fetchone()
        sid = str(pk).partition("#")[2]
        return sid, connection.execute("SELECT * FROM items WHERE instr(pk || body, ?)", (sid,)).fetchall()


class Yardstick:
    """An ASGI application that stores the rows of a conversation for each request."""

    def __init__(self, path: str, model: str) -> None:
        self._sid, self._rows = rows_of_a_conversation(model)
        self._numbers = count()
        self.connection = open_data_file(path)
        self._insert = f"INSERT INTO items VALUES ({', '.join('?' * len(self._rows[0]))})"

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
        parse_qs(form.decode())
        self.connection.execute("BEGIN IMMEDIATE")
        self.insert_conversation()
        self.connection.execute("COMMIT")
        await send({"type": "http.response.start", "status": 202, "headers": HEADERS})
        await send({"type": "http.response.body", "body": BODY})

    def insert_conversation(self) -> None:
        """Insert a copy of the model's rows, with a new conversation SID, in the open transaction."""
        sid = f"CH{next(self._numbers):032x}"
        self.connection.executemany(self._insert, [self._with_sid(row, sid) for row in self._rows])

    def _with_sid(self, row: Row, sid: str) -> Row:
        pk, *others = (value.replace(self._sid, sid) if isinstance(value, str) else value for value in row)
        # The partition key of a change record does not contain the conversation SID. The appended SID makes this key
        # unique.
        return (pk if pk != row[0] else f"{pk}{sid}", *others)


def main() -> None:
    with listening_socket("127.0.0.1", 0) as listener:
        url = f"http://127.0.0.1:{listener.getsockname()[1]}"
        print(json.dumps({"url": url, "pid": os.getpid()}), flush=True)
        config = uvicorn.Config(Yardstick(*sys.argv[1:]), lifespan="off", access_log=False, log_config=None)
        uvicorn.Server(config).run(sockets=[listener])


if __name__ == "__main__":
    main()
