"""Run an instance as `convoke up` does, but with a participant queue that loses every message.

A new conversation stays `initializing` until the sweeper runs.

`python -m tests.support.up_without_participant_queue PATH` prints the ready line: the URL and the credentials as
JSON, as `convoke up --json` does. PATH is the data file. Tests kill this process.
"""

from __future__ import annotations

import json
import os
import sys
import threading
import time
from dataclasses import replace

from convoke.cli.credentials import first_account
from convoke.domain.provisioning import Provisioning
from convoke.embedded.engine import EmbeddedEngine
from convoke.embedded.server import Server, listening_socket


class LosingQueue:
    """A participant queue that loses every message."""

    def send(self, provisioning: Provisioning) -> None:
        """Lose the message."""


def serve(engine: EmbeddedEngine) -> None:
    """Serve the engine until SIGTERM. Print the ready line after the first sweep."""
    account, token = first_account(engine.accounts, None, {})
    listener = listening_socket("127.0.0.1", 0)
    ready = {
        "url": f"http://127.0.0.1:{listener.getsockname()[1]}",
        "account_sid": account.sid,
        "auth_token": token,
        "pid": os.getpid(),
    }

    def report_ready() -> None:
        # The first sweep can process conversations that are created during the sweep. The new conversations of a test
        # must stay `initializing`. Therefore wait for the end of the first sweep.
        while engine._sweep_until is not None or engine._sweeping.locked():
            time.sleep(0.001)
        print(json.dumps(ready), flush=True)

    def begin() -> None:
        engine.start()
        threading.Thread(target=report_ready).start()

    Server(engine.gateway(), begin, engine.stop).run(sockets=[listener])


if __name__ == "__main__":
    serve(EmbeddedEngine(sys.argv[1], lambda edges: replace(edges, participant_queue=LosingQueue())))
