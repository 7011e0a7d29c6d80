"""Create changed copies of a sweeper."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from convoke.operations.due_conversations import DueConversations
from convoke.operations.sweeper import Sweeper
from convoke.storage import keys


def with_due_conversations(sweeper: Sweeper, **changes: Any) -> Sweeper:
    """Copy the sweeper, and replace some attributes of its DueConversations. `changes` holds the new values."""
    process = sweeper.processes[keys.CONVERSATION]
    assert isinstance(process, DueConversations)
    return replace(sweeper, processes={**sweeper.processes, keys.CONVERSATION: replace(process, **changes)})
