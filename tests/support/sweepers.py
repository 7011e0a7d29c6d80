"""Create changed copies of a sweeper."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from convoke.operations.due_conversations import DueConversations
from convoke.operations.sweeper import Sweeper
from convoke.storage import keys


def with_due_conversations(sweeper: Sweeper, **changes: Any) -> Sweeper:
    """Return a copy of the sweeper. In the copy, `changes` replaces attributes of the DueConversations object."""
    process = sweeper.processes[keys.CONVERSATION]
    assert isinstance(process, DueConversations)
    return replace(sweeper, processes={**sweeper.processes, keys.CONVERSATION: replace(process, **changes)})
