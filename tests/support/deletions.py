"""Conversations to delete, and the items that remain of them."""

from __future__ import annotations

from datetime import timedelta

from tests.support.examples import GROUP_MMS
from tests.support.instances import Instance

AT_ONCE = timedelta(seconds=1)
LONG_AFTER = timedelta(days=1)


def conversation_in(instance: Instance, state: str, participants: list[str] = GROUP_MMS) -> str:
    """Create a conversation with a unique name in this state, and return its SID."""
    v1 = instance.client().conversations.v1
    sid = str(v1.conversation_with_participants.create(unique_name="visit", participant=participants).sid)
    if state != "initializing":
        instance.work()
        v1.conversations(sid).update(state=state)
    return sid


def item_kinds_left(instance: Instance, sid: str) -> list[str]:
    """Return the kinds of the items that contain the SID of a conversation, in their keys or attributes."""
    return sorted(str(item["sk"]).partition("#")[0] for item in instance.items("") if sid in str(item))
