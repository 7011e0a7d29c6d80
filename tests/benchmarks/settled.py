"""Create conversations on the embedded engine in this process, and do all their background work.

`instructions.py` runs this program. The argument is the number of conversations. Standard input is a gateway event that
creates a conversation, without credentials.

Every run must execute the same instructions. Therefore the process has one thread and opens no socket. The data is in
memory, the clocks stand still, and the garbage collector is off. Because the clocks stand still, no cache entry expires
in a slow run under callgrind.
"""

from __future__ import annotations

import base64
import gc
import itertools
import json
import os
import sys
import threading
import time
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

NOW = datetime(2026, 1, 2, 3, 4, 5, 678000, tzinfo=UTC)


class Context:
    """A fake Lambda context with only the members that the API reads."""

    aws_request_id = "00000000-0000-0000-0000-000000000000"

    def get_remaining_time_in_millis(self) -> int:
        return 60_000


def freeze() -> None:
    """Stop the clocks that Convoke reads, turn off garbage collection, and make `os.urandom` predictable.

    Call this function before Convoke is imported, because an imported module can keep a reference to a clock.
    """
    time.time = lambda: NOW.timestamp()
    time.time_ns = lambda: int(NOW.timestamp()) * 10**9
    time.monotonic = lambda: 1000.0
    drawn = itertools.count()
    os.urandom = lambda size: next(drawn).to_bytes(size, "big")
    gc.disable()


def main(conversations: int, create: dict[str, Any]) -> None:
    from convoke.embedded.engine import EmbeddedEngine  # Import Convoke only after `freeze`.

    engine = EmbeddedEngine(":memory:", lambda edges: replace(edges, now=lambda: NOW))

    def answered(event: dict[str, Any]) -> Any:
        answer = engine.api.resolve(event, Context())
        if not 200 <= answer["statusCode"] < 300:
            raise RuntimeError(f"the API refused a request: {answer}")
        return json.loads(answer["body"])

    account = engine.accounts.create()
    user = f"{account.sid}:{engine.accounts.token(account.sid)}"
    create["headers"]["authorization"] = f"Basic {base64.b64encode(user.encode()).decode()}"
    text = json.dumps(create)
    for _ in range(conversations):
        created = answered(json.loads(text))
        engine.work()
    path = f"/v1/Conversations/{created['sid']}"
    fetch = json.loads(text) | {"rawPath": path, "body": ""}
    fetch["requestContext"]["http"] |= {"method": "GET", "path": path}
    state, threads = answered(fetch)["state"], threading.active_count()
    if (state, threads) != ("active", 1):
        raise RuntimeError(f"the last conversation is {state}, and the process has {threads} threads")
    engine.close()


if __name__ == "__main__":
    freeze()
    main(int(sys.argv[1]), json.load(sys.stdin))
