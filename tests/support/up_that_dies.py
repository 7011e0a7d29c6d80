"""Run an instance as `convoke up` does, and let the process die during a commit.

`python -m tests.support.up_that_dies METHOD WHEN PATH` prints one line of JSON when the API is ready.

- METHOD is a method of `SqliteTable` that every commit calls.
- WHEN is `before` or `after`. The process dies before or after METHOD, in the first commit that stores a
  conversation.
- PATH is the data file.
"""

from __future__ import annotations

import os
import sys

from convoke.embedded.engine import EmbeddedEngine
from convoke.embedded.unit import Unit
from tests.support.up_without_participant_queue import serve

KILLED = 137


def die_in_commit(engine: EmbeddedEngine, name: str, when: str) -> None:
    method = getattr(engine.table, name)

    def dying(unit: Unit) -> None:
        # The commit can call METHOD after `_write_pending`, which empties `unit.pending`. Therefore read `unit.known`,
        # which keeps the keys of the written items.
        stores_conversation = any(key.sk == "conversation" for key in unit.known)
        if stores_conversation and when == "before":
            os._exit(KILLED)
        method(unit)
        if stores_conversation:
            os._exit(KILLED)

    setattr(engine.table, name, dying)


if __name__ == "__main__":
    _, method, when, data = sys.argv
    engine = EmbeddedEngine(data)
    die_in_commit(engine, method, when)
    serve(engine)
