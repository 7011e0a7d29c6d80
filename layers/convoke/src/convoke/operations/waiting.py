"""Wait on the server until a conversation leaves `initializing`, so that the client need not poll.

See docs/behaviour/conversation-with-participants.md#waiting.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator
from datetime import timedelta
from typing import NamedTuple

from convoke.domain.conversations import Conversation, State
from convoke.domain.instants import Clock, Sleep
from convoke.lean_dataclass import lean_dataclass
from convoke.storage.conversations import ConversationRepository

logger = logging.getLogger(__name__)

FIRST_PAUSE_SECONDS = 0.02
MAX_PAUSE_SECONDS = 2.0
"""The maximum pause between two reads, in seconds. With these pauses, a wait of 20 seconds costs about 16 reads."""


class Reading(NamedTuple):
    conversation: Conversation
    is_final: bool
    """Whether the waiter must stop and return this conversation."""


@lean_dataclass
class ConversationWaiter:
    conversations: ConversationRepository
    now: Clock
    sleep: Sleep

    def wait_until_initialized(self, created: Conversation, seconds: float) -> Conversation:
        """Wait until the conversation leaves `initializing`, but for at most `seconds`. Return the conversation.

        The method stops waiting if a read fails or the conversation is deleted. The result is the conversation of the
        last successful read, or `created` without such a read. A failed read raises no exception and causes no error
        response, because the conversation is already stored.
        """
        latest, until = created, self.now() + timedelta(seconds=seconds)
        for pause in pauses(seconds):
            self.sleep(pause)
            latest, is_final = self.read(latest)
            # Check the clock too, because the reads take time in addition to the pauses.
            if is_final or self.now() >= until:
                break
        return latest

    def read(self, latest: Conversation) -> Reading:
        """Read the conversation once, and return it. The result is final if the conversation has left `initializing`.

        If the read fails or the conversation is deleted, return `latest` as final.
        """
        try:
            found = self.conversations.fetch(latest.account_sid, latest.sid)
        except Exception:
            logger.exception("waiting for a conversation failed", extra={"conversation_sid": latest.sid})
            return Reading(latest, is_final=True)
        if found is None:
            return Reading(latest, is_final=True)  # Another request has deleted the conversation.
        return Reading(found, is_final=found.state is not State.INITIALIZING)


def pauses(seconds: float) -> Iterator[float]:
    """Yield pauses in seconds that add up to `seconds`.

    Each pause is twice as long as the previous pause, but at most MAX_PAUSE_SECONDS. The last pause can be shorter.
    """
    left, pause = seconds, FIRST_PAUSE_SECONDS
    while left > 0:
        yield min(pause, left)
        left -= pause
        pause = min(2 * pause, MAX_PAUSE_SECONDS)
