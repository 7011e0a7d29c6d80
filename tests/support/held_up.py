"""`convoke up`, but whoever is to be added to a conversation is kept waiting for ever.

Run as `python -m tests.support.held_up PATH`, it prints the ready line. It is for being killed.
"""

from __future__ import annotations

import json
import os
import sys
import time
from dataclasses import replace

from convoke.domain.participants import Participant
from convoke.domain.provisioning import Provisioning
from convoke.local.credentials import first_account
from convoke.local.engine import EmbeddedEngine
from convoke.local.gateway import Gateway
from convoke.local.server import Server, listening_socket


def wait(provisioning: Provisioning, participant: Participant) -> None:
    time.sleep(3600)


def main(data: str) -> None:
    engine = EmbeddedEngine(data, lambda edges: replace(edges, admit=wait))
    account, token = first_account(engine.accounts, {})
    listener = listening_socket("127.0.0.1", 0)
    ready = {
        "url": f"http://127.0.0.1:{listener.getsockname()[1]}",
        "account_sid": account.sid,
        "auth_token": token,
        "pid": os.getpid(),
    }
    engine.start()
    Server(Gateway(engine.api, engine.turnstile), lambda: print(json.dumps(ready), flush=True)).run(sockets=[listener])


if __name__ == "__main__":
    main(sys.argv[1])
