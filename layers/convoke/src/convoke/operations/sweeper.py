"""Attends to every conversation that is due (promise 5): interrupted, deleted, or with a timer that is over."""

from __future__ import annotations

import logging
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime

from convoke.domain.conversations import Conversation
from convoke.domain.errors import InternalError
from convoke.domain.events import timer_expired
from convoke.domain.instants import Clock
from convoke.domain.provisioning import Cause, Provisioning, ProvisioningRetries, ProvisioningStatus
from convoke.domain.sids import NewSid, Prefix
from convoke.operations.participant_adder import ParticipantAdder
from convoke.operations.ports import Workflow
from convoke.storage.conversations import ConversationRepository
from convoke.storage.provisioning import ProvisioningRepository
from convoke.storage.revisions import ChangedMeanwhileError

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Sweeper:
    conversations: ConversationRepository
    provisionings: ProvisioningRepository
    participant_adder: ParticipantAdder
    workflow: Workflow
    attempts: ProvisioningRetries
    now: Clock
    new_sid: NewSid

    def sweep(self, until: datetime | None = None, *, go_on: Callable[[], bool] = lambda: True) -> int:
        """Attend once to every conversation due by `until` (the present moment); answers how many that were.

        One that fails again is logged and stays due, what is to be finished later each time until its attempts are
        used up. Where `go_on` says no, the rest is left to the next sweep.
        """
        seen: set[str] = set()
        for account_sid, conversation_sid in self.conversations.due(until or self.now()):
            if not go_on():
                break
            if conversation_sid not in seen:
                seen.add(conversation_sid)
                try:
                    self._attend(account_sid, conversation_sid, go_on)
                except Exception:
                    logger.exception("an attempt failed", extra={"conversation_sid": conversation_sid})
        return len(seen)

    def _attend(self, account_sid: str, conversation_sid: str, go_on: Callable[[], bool]) -> None:
        found = self.provisionings.fetch(account_sid, conversation_sid)
        if found is None:
            return
        conversation, provisioning = found
        if conversation.is_unfinished:
            self._attempt(conversation, provisioning, go_on)
        else:
            self._run_timers(conversation)

    def _run_timers(self, conversation: Conversation) -> None:
        """Nobody claims it, as of several only one can change what was read. Whoever was faster left it due."""
        now = self.now()
        after = conversation.with_expired_timers(now)
        with suppress(ChangedMeanwhileError):
            if after.state is not conversation.state:
                change = timer_expired(self.new_sid(Prefix.CHANGE), conversation, after, at=now)
                self.conversations.update(conversation, after, change)
                logger.info("timer ran out", extra={"conversation_sid": conversation.sid, "state": after.state})
            elif after.due_at != conversation.due_at:
                self.conversations.put_off(conversation, after)

    def _attempt(
        self, conversation: Conversation, provisioning: Provisioning | None, go_on: Callable[[], bool]
    ) -> None:
        """Claim the conversation, so that the next attempt is put off whatever comes of this one, and finish it."""
        next_attempt = self.attempts.next_attempt_at(self.now(), conversation.attempts + 1)
        if not self.conversations.claim(conversation, next_attempt):
            return
        if conversation.date_removed:
            self.conversations.erase(conversation.account_sid, conversation.sid, go_on)
        elif provisioning is not None:
            self._finish(conversation, provisioning)

    def _finish(self, conversation: Conversation, provisioning: Provisioning) -> None:
        """Only who is not in yet can be given up: with every member in, there is nothing that could fail for good."""
        if provisioning.status is not ProvisioningStatus.PENDING:
            self.workflow.start(conversation.account_sid, conversation.sid, [])
        elif conversation.attempts < self.attempts.max_attempts:
            self.participant_adder.add(provisioning)
        else:
            self.workflow.start(conversation.account_sid, conversation.sid, [_given_up(conversation.attempts)])


def _given_up(attempts: int) -> Cause:
    message = f"An unexpected error: given up after {attempts} attempts"
    return Cause(code=InternalError.code, message=message)
