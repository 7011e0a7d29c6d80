"""Waiting for the end of `initializing`, so that a client need not poll (reference, h 2)."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta
from typing import NamedTuple

from convoke.domain.conversations import Conversation, State
from convoke.domain.instants import Clock, Sleep
from convoke.storage.conversations import ConversationRepository

logger = logging.getLogger(__name__)

FIRST_POLL_SECONDS = 0.02
MAX_POLL_SECONDS = 2.0
"""Seconds. Together some 16 reads in 20 seconds."""


class Seen(NamedTuple):
    conversation: Conversation
    is_final: bool
    """Whether waiting longer would change nothing."""


@dataclass(frozen=True, slots=True)
class Waiting:
    conversations: ConversationRepository
    now: Clock
    sleep: Sleep

    def until_left(self, created: Conversation, seconds: float) -> Conversation:
        """The conversation as soon as it has left `initializing`, or as it is when `seconds` are over.

        Comes after the commit, so it fails with nothing: what cannot be read is as it was created (promise 2).
        """
        try:
            return self._look_until_left(created, seconds)
        except Exception:
            logger.exception("not waited for", extra={"conversation_sid": created.sid})
            return created

    def seen(self, last: Conversation) -> Seen:
        """Read the conversation. After an error, the conversation as it was seen last is final."""
        try:
            found = self.conversations.fetch(last.account_sid, last.sid)
        except Exception:
            logger.exception("waiting failed", extra={"conversation_sid": last.sid})
            return Seen(last, is_final=True)
        if found is None:
            return Seen(last, is_final=True)  # Deleted meanwhile.
        return Seen(found, is_final=found.state is not State.INITIALIZING)

    def _look_until_left(self, created: Conversation, seconds: float) -> Conversation:
        seen, until = created, self.now() + timedelta(seconds=seconds)
        for pause in pauses(seconds):
            self.sleep(pause)
            found = self.seen(seen)
            seen = found.conversation
            # The pauses alone add up to `seconds`; reading takes time too.
            if found.is_final or self.now() >= until:
                break
        return seen


def pauses(seconds: float) -> Iterator[float]:
    """Each twice as long as the one before, `seconds` in all."""
    left, pause = seconds, FIRST_POLL_SECONDS
    while left > 0:
        yield min(pause, left)
        left -= pause
        pause = min(2 * pause, MAX_POLL_SECONDS)
