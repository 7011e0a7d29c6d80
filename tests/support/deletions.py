"""Create conversations for deletion tests, and find the items that a deletion leaves behind."""

from __future__ import annotations

from datetime import timedelta

from tests.support.examples import GROUP_MMS
from tests.support.instances import Instance

AT_ONCE = timedelta(seconds=1)
LONG_AFTER = timedelta(days=1)


def conversation_in(instance: Instance, state: str, participants: list[str] = GROUP_MMS) -> str:
    """Create a conversation with the unique name `visit` in the given state. Return the conversation SID."""
    v1 = instance.client().conversations.v1
    sid = str(v1.conversation_with_participants.create(unique_name="visit", participant=participants).sid)
    if state != "initializing":
        instance.work()
        v1.conversations(sid).update(state=state)
    return sid


def item_kinds_left(instance: Instance, sid: str) -> list[str]:
    """Return the kinds of the items that mention the conversation SID in any attribute.

    The kind is the item's sort key up to the first `#`.
    """
    return sorted(str(item["sk"]).partition("#")[0] for item in instance.items("") if sid in str(item))
