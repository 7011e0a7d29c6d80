"""Wait on the server until a conversation leaves `initializing`, so that the client need not poll.

See docs/behaviour/conversation-with-participants.md#waiting.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta

from convoke.domain.conversations import Conversation, State
from convoke.domain.instants import Clock, Sleep
from convoke.storage.conversations import ConversationRepository

logger = logging.getLogger(__name__)

FIRST_PAUSE_SECONDS = 0.02
MAX_PAUSE_SECONDS = 2.0
"""The maximum pause between two reads. With these pauses, a wait of 20 seconds costs about 16 reads."""


@dataclass(frozen=True, slots=True)
class ConversationWaiter:
    conversations: ConversationRepository
    now: Clock
    sleep: Sleep

    def wait_until_initialized(self, created: Conversation, seconds: float) -> Conversation:
        """Wait at most `seconds` until the conversation leaves `initializing`. Returns the conversation as last read.

        Never raises an exception. The conversation is already stored, so a failed read must not cause an error
        response. If a read fails, the return value is `created`.
        """
        try:
            return self._poll(created, seconds)
        except Exception:
            logger.exception("waiting for a conversation failed", extra={"conversation_sid": created.sid})
            return created

    def _poll(self, created: Conversation, seconds: float) -> Conversation:
        latest, until = created, self.now() + timedelta(seconds=seconds)
        for pause in pauses(seconds):
            self.sleep(pause)
            if (found := self.conversations.fetch(created.account_sid, created.sid)) is None:
                break  # Another request has deleted the conversation.
            latest = found
            # Compare with the clock, because the pauses add up to `seconds` and the reads take additional time.
            if latest.state is not State.INITIALIZING or self.now() >= until:
                break
        return latest


def pauses(seconds: float) -> Iterator[float]:
    """Yield pauses in seconds that add up to `seconds`.

    Each pause is twice as long as the previous pause, but at most MAX_PAUSE_SECONDS.
    """
    left, pause = seconds, FIRST_PAUSE_SECONDS
    while left > 0:
        yield min(pause, left)
        left -= pause
        pause = min(2 * pause, MAX_PAUSE_SECONDS)
