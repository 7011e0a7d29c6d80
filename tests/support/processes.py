"""Run `convoke up` in a separate process, and run a webhook receiver on a real socket."""

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
from threading import Event, Thread
from typing import Any
from urllib.parse import parse_qsl

from twilio.rest import Client

UP = (sys.executable, "-m", "convoke", "up", "--port", "0", "--json")

TIMEOUT_SECONDS = 20.0
"""The maximum wait for a process. It is long, because other tests can make the machine slow."""


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
        """Send a signal to the process and wait for its end. Return the exit code."""
        os.kill(self.ready["pid"], by)
        return self.process.wait(TIMEOUT_SECONDS)


def wait_for(port: int, timeout: float = TIMEOUT_SECONDS) -> None:
    """Wait until a process listens on the port.

    Raises ConnectionRefusedError after `timeout` seconds.
    """
    until = time.monotonic() + timeout
    while True:
        try:
            socket.create_connection(("127.0.0.1", port), timeout=timeout).close()
        except ConnectionRefusedError:
            if time.monotonic() > until:
                raise
            time.sleep(0.005)
        else:
            return


@contextmanager
def up(*options: str, command: Sequence[str] = UP, environ: Mapping[str, str] | None = None) -> Iterator[Up]:
    """Run an instance in a new process. The block starts when the instance is ready.

    At the end of the block, the process is killed.
    """
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
"""The webhook calls that a receiver has received. An entry holds the parameters and the signature of one call."""


@contextmanager
def receiver() -> Iterator[tuple[str, Received]]:
    """Until the block ends, run a webhook receiver that accepts every call.

    Yields the receiver's URL and the queue of received calls.
    """
    received: Received = Queue()

    class Handler(_ReceiverHandler):
        def do_POST(self) -> None:
            parameters = self.parameters()
            self.send_response(204)
            self.end_headers()
            received.put((parameters, self.headers["X-Twilio-Signature"]))

    with _serving(Handler) as url:
        yield url, received


@contextmanager
def hanging_receiver() -> Iterator[tuple[str, Queue[str]]]:
    """Run a webhook receiver that does not answer any call before the block ends.

    Yields the receiver's URL and a queue of the received event types.
    """
    called, is_over = Queue[str](), Event()

    class Handler(_ReceiverHandler):
        def do_POST(self) -> None:
            called.put(self.parameters()["EventType"])
            is_over.wait()

    with _serving(Handler) as url:
        try:
            yield url, called
        finally:
            is_over.set()


@contextmanager
def full_listener() -> Iterator[tuple[str, int]]:
    """Run a receiver whose queue of new connections is full during the block. Yields its host and its port.

    Linux drops each further request to connect, so a client waits until its time limit.
    """
    with socket.create_server(("127.0.0.1", 0), backlog=0) as listener, socket.socket() as waiting:
        waiting.connect(listener.getsockname())
        yield listener.getsockname()


class _ReceiverHandler(BaseHTTPRequestHandler):
    def parameters(self) -> dict[str, str]:
        body = self.rfile.read(int(self.headers["Content-Length"])).decode()
        return dict(parse_qsl(body, keep_blank_values=True))

    def log_message(self, *_: object) -> None:
        """Suppress the access log."""


@contextmanager
def _serving(handler: type[BaseHTTPRequestHandler]) -> Iterator[str]:
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}/webhooks"
        server.shutdown()
