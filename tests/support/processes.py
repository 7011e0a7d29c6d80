"""`convoke up` as a process of its own, and a receiver of webhooks on a real socket."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from queue import Queue
from threading import Thread
from typing import Any
from urllib.parse import parse_qsl

from twilio.rest import Client

UP = (sys.executable, "-m", "convoke", "up", "--port", "0", "--json")

TIMEOUT_SECONDS = 20.0
"""Seconds, on a machine that is busy with other tests."""


@dataclass(frozen=True)
class Up:
    process: subprocess.Popen[str]
    ready: dict[str, Any]

    @property
    def client(self) -> Client:
        client = Client(self.ready["account_sid"], self.ready["auth_token"])
        client.conversations.base_url = self.ready["url"]
        return client

    def stop(self, by: signal.Signals = signal.SIGTERM) -> int:
        """The exit code."""
        os.kill(self.ready["pid"], by)
        return self.process.wait(TIMEOUT_SECONDS)


def wait_for(port: int, patience: float = TIMEOUT_SECONDS) -> None:
    """Until somebody listens there on this machine. Raises ConnectionRefusedError where nobody does in time."""
    until = time.monotonic() + patience
    while True:
        try:
            socket.create_connection(("127.0.0.1", port), timeout=patience).close()
        except ConnectionRefusedError:
            if time.monotonic() > until:
                raise
            time.sleep(0.005)
        else:
            return


@contextmanager
def up(*options: str, command: Sequence[str] = UP, environ: Mapping[str, str] | None = None) -> Iterator[Up]:
    """An instance that listens; killed at the end where it still runs."""
    process = subprocess.Popen(
        [*command, *options],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, **(environ or {})},
    )
    with process:
        try:
            assert process.stdout is not None
            line = process.stdout.readline()
            assert line, process.communicate()[1]
            yield Up(process, json.loads(line))
        finally:
            process.kill()


Received = Queue[tuple[dict[str, str], str]]
"""The parameters and the signature of each webhook."""


@contextmanager
def receiver() -> Iterator[tuple[str, Received]]:
    """The URL of a receiver that takes everything, and what it took."""
    received: Received = Queue()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"])).decode()
            self.send_response(204)
            self.end_headers()
            received.put((dict(parse_qsl(body, keep_blank_values=True)), self.headers["X-Twilio-Signature"]))

        def log_message(self, *_: object) -> None:
            """Tests print nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}/webhooks", received
        server.shutdown()
