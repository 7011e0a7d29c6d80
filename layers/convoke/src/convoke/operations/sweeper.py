"""Finishes what was interrupted: every conversation that is due (promise 5)."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from datetime import datetime

from convoke.domain.conversations import Conversation, State
from convoke.domain.errors import InternalError
from convoke.domain.instants import Clock
from convoke.domain.provisioning import Attempts, Cause, Provisioning, ProvisioningStatus
from convoke.operations.participant_adder import ParticipantAdder
from convoke.operations.ports import ConversationRepository, ProvisioningRepository, Workflow

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Sweeper:
    conversations: ConversationRepository
    provisionings: ProvisioningRepository
    participant_adder: ParticipantAdder
    workflow: Workflow
    attempts: Attempts
    now: Clock

    def sweep(self, until: datetime | None = None) -> int:
        """Attend once to every conversation due by `until` (the present moment); answers how many that were.

        One that fails again is logged and stays due, later each time, until its attempts are used up.
        """
        seen: set[str] = set()
        for account_sid, conversation_sid in self.conversations.due(until or self.now()):
            if conversation_sid not in seen:
                seen.add(conversation_sid)
                self._attend(account_sid, conversation_sid)
        return len(seen)

    def _attend(self, account_sid: str, conversation_sid: str) -> None:
        found = self.provisionings.fetch(account_sid, conversation_sid)
        if found is None:
            return
        conversation, provisioning = found
        next_attempt = self.attempts.next_after(self.now(), conversation.attempts + 1)
        if not self.conversations.claim(conversation, next_attempt):
            return
        try:
            self._finish(conversation, provisioning)
        except Exception:
            logger.exception("an attempt failed", extra={"conversation_sid": conversation_sid})

    def _finish(self, conversation: Conversation, provisioning: Provisioning) -> None:
        account_sid, conversation_sid = conversation.account_sid, conversation.sid
        if conversation.state is State.INITIALIZING and conversation.attempts >= self.attempts.most:
            self.workflow.start(account_sid, conversation_sid, [_given_up(conversation.attempts)])
        elif provisioning.status is ProvisioningStatus.PENDING:
            self.participant_adder.add(provisioning)
        else:
            self.workflow.start(account_sid, conversation_sid, [])


def _given_up(attempts: int) -> Cause:
    message = f"An unexpected error: given up after {attempts} attempts"
    return Cause(code=InternalError.code, message=message)
