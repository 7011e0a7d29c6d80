"""`convoke up`, but whoever is to be added to a conversation is left to the sweeper.

Run as `python -m tests.support.up_without_participant_queue PATH`, it prints the ready line. It is for being killed.
"""

from __future__ import annotations

import asyncio
import json
import os
import sys
from dataclasses import replace

from convoke.cli.credentials import first_account
from convoke.domain.provisioning import Provisioning
from convoke.embedded.engine import EmbeddedEngine
from convoke.embedded.gateway import Gateway
from convoke.embedded.server import Server, listening_socket


class Forgetful:
    def send(self, provisioning: Provisioning) -> None:
        """Nowhere."""


def main(data: str) -> None:
    engine = EmbeddedEngine(data, lambda edges: replace(edges, participant_queue=Forgetful()))
    account, token = first_account(engine.accounts, {})
    listener = listening_socket("127.0.0.1", 0)
    ready = {
        "url": f"http://127.0.0.1:{listener.getsockname()[1]}",
        "account_sid": account.sid,
        "auth_token": token,
        "pid": os.getpid(),
    }

    def begin() -> None:
        engine.start(asyncio.get_running_loop())
        print(json.dumps(ready), flush=True)

    Server(Gateway(engine.api, engine.turns), begin).run(sockets=[listener])


if __name__ == "__main__":
    main(sys.argv[1])
