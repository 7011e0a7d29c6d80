"""Receive uploads and send files in parts, so that only one part of each transfer is in memory.

Worker threads read and write the files, because a slow disk must not block the event loop.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Awaitable, Callable, MutableMapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from functools import partial
from typing import Any, BinaryIO, TypeVar

from convoke.api.responses import FileResponse, Response
from convoke.api.uploads import Upload

DEADLINE = "convoke.deadline"
"""The name of an ASGI extension that gives a client more time to send the body.

The extension has one entry, the function `extend`. Its argument is the number of seconds from now to the new deadline.
"""

MAX_THREADS = 8
"""The maximum number of files that are read or written at the same time.

More transfers than this number can run, because a transfer uses no thread while it waits for the client.
"""

PART_BYTES = 64 * 1024

UPLOAD_TIMEOUT_SECONDS = 600.0
"""How long a client may take to send an uploaded file, from the moment at which Convoke begins to read the body."""

UPLOAD_PATH = re.compile("/v1/Services/[^/]+/Media")
"""Matches the path of uploads. Only there, a body may be longer than MAX_REQUEST_BODY_BYTES (api/form.py)."""

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
Result = TypeVar("Result")


def is_upload(scope: Message) -> bool:
    return scope["method"] == "POST" and UPLOAD_PATH.fullmatch(scope["path"]) is not None


class DisconnectedError(Exception):
    """The client disconnected before the end of the body."""


class Body:
    """A request body that is still arriving."""

    def __init__(self, scope: Message, receive: Receive) -> None:
        self._receive = receive
        self._extend_deadline = scope["extensions"][DEADLINE]["extend"]

    def expect_upload(self) -> None:
        """Give the client UPLOAD_TIMEOUT_SECONDS, from now, to send the body."""
        self._extend_deadline(UPLOAD_TIMEOUT_SECONDS)

    async def next_part(self) -> tuple[bytes, bool]:
        """Return the next part of the body, and whether more parts follow.

        Raise DisconnectedError if the client has disconnected.
        """
        message = await self._receive()
        if message["type"] == "http.disconnect":
            raise DisconnectedError
        return message.get("body", b""), message.get("more_body", False)


class Transfers:
    def __init__(self) -> None:
        self._threads = ThreadPoolExecutor(MAX_THREADS, thread_name_prefix="media")

    def close(self) -> None:
        """End the worker threads. Running transfers fail."""
        self._threads.shutdown(wait=False, cancel_futures=True)

    async def receive(self, upload: Upload, body: Body) -> Response:
        """Pass each part of the body to `upload`, and return the upload's response.

        If `upload` refuses a part, do not read the remaining parts. If the client disconnects before the end of the
        body, abort the upload and raise DisconnectedError.
        """
        body.expect_upload()
        try:
            is_accepted, has_more = True, True
            while is_accepted and has_more:
                part, has_more = await body.next_part()
                is_accepted = await self._on_thread(partial(upload.write, part))
        except DisconnectedError:
            await self._on_thread(upload.abort)
            raise
        return await self._on_thread(upload.respond)

    async def open(self, response: FileResponse) -> BinaryIO:
        """Open the file of a response. Raise NotFoundError if the file no longer exists."""
        return await self._on_thread(response.open)

    async def send(self, file: BinaryIO, send: Send) -> None:
        """Send a file as the body of a response, and close the file.

        If the client reads slowly, the ASGI function `send` waits. The next part of the file is read only after this
        wait.
        """
        with closing(file):
            while part := await self._on_thread(partial(file.read, PART_BYTES)):
                await send({"type": "http.response.body", "body": part, "more_body": True})
            await send({"type": "http.response.body", "body": b""})

    async def _on_thread(self, function: Callable[[], Result]) -> Result:
        return await asyncio.get_running_loop().run_in_executor(self._threads, function)
