"""Process due conversations: finish provisioning, erase deleted conversations, and run expired timers.

See docs/how-it-works.md#promises.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime

from convoke.domain.alerts import overdue_alert
from convoke.domain.conversations import Conversation
from convoke.domain.errors import InternalError
from convoke.domain.events import timer_expired
from convoke.domain.instants import Clock
from convoke.domain.provisioning import Cause, Provisioning, ProvisioningRetries, ProvisioningStatus
from convoke.domain.sids import NewSid, Prefix
from convoke.operations.participant_adder import ParticipantAdder
from convoke.operations.ports import Workflow
from convoke.storage.alerts import AlertRepository
from convoke.storage.conversations import ConversationRepository
from convoke.storage.provisioning import ProvisioningRepository
from convoke.storage.revisions import ChangedMeanwhileError

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Sweeper:
    conversations: ConversationRepository
    provisionings: ProvisioningRepository
    alerts: AlertRepository
    participant_adder: ParticipantAdder
    workflow: Workflow
    retries: ProvisioningRetries
    now: Clock
    new_sid: NewSid

    def sweep(self, until: datetime | None = None, *, go_on: Callable[[], bool] = lambda: True) -> int:
        """Process every conversation that is due at `until` or earlier, and return the number of these conversations.

        If `until` is None, the current time is used. Each conversation is processed only once. If an error occurs, the
        sweeper logs the error, and the conversation is due again after a pause that grows. The pauses between the
        provisioning attempts grow too. After the last attempt, the conversation is closed. The sweep ends early if
        `go_on` returns False.
        """
        seen: set[str] = set()
        for account_sid, conversation_sid in self.conversations.due(until or self.now()):
            if not go_on():
                break
            if conversation_sid not in seen:
                seen.add(conversation_sid)
                try:
                    self._process(account_sid, conversation_sid, go_on)
                except Exception:
                    logger.exception(
                        "attending to a due conversation failed", extra={"conversation_sid": conversation_sid}
                    )
                    self._put_off(account_sid, conversation_sid)
        return len(seen)

    def _put_off(self, account_sid: str, conversation_sid: str) -> None:
        """Postpone a conversation that the sweeper failed to process. Otherwise every sweep would fail again.

        A conversation that the sweeper has claimed is already postponed.
        """
        try:
            now = self.now()
            earlier_failures = self.conversations.failures(account_sid, conversation_sid, now)
            if earlier_failures is None:
                return
            failures, due_at = earlier_failures + 1, self.retries.next_attempt_at(now, earlier_failures)
            self.conversations.put_off_after_failure(account_sid, conversation_sid, failures, due_at)
            self._report_if_overdue(account_sid, conversation_sid, failures)
        except Exception:
            logger.exception("putting off a conversation failed", extra={"conversation_sid": conversation_sid})

    def _report_if_overdue(self, account_sid: str, conversation_sid: str, attempts: int) -> None:
        if self.retries.is_overdue(attempts):
            self.alerts.create(overdue_alert(account_sid, conversation_sid, self.now()))

    def _process(self, account_sid: str, conversation_sid: str, go_on: Callable[[], bool]) -> None:
        found = self.provisionings.fetch(account_sid, conversation_sid)
        if found is None:
            return
        conversation, provisioning = found
        if conversation.is_unfinished:
            self._finish_or_erase(conversation, provisioning, go_on)
        else:
            self._run_timers(conversation)

    def _run_timers(self, conversation: Conversation) -> None:
        """Apply the expired timers of a conversation.

        The sweeper need not claim the conversation, because optimistic locking lets only one of several sweepers change
        the conversation.
        """
        now = self.now()
        after = conversation.with_expired_timers(now)
        with suppress(ChangedMeanwhileError):
            if after.state is not conversation.state:
                change = timer_expired(self.new_sid(Prefix.CHANGE), conversation, after, at=now)
                self.conversations.update(conversation, after, change)
                logger.info("timer expired", extra={"conversation_sid": conversation.sid, "state": after.state})
            elif after.due_at != conversation.due_at:
                self.conversations.put_off(conversation, after)

    def _finish_or_erase(
        self, conversation: Conversation, provisioning: Provisioning | None, go_on: Callable[[], bool]
    ) -> None:
        """Claim the conversation. If the conversation is deleted, erase it. Otherwise continue its provisioning.

        The claim moves the next attempt into the future. If the sweeper crashes after the claim, the next attempt
        therefore does not start immediately.
        """
        next_attempt = self.retries.next_attempt_at(self.now(), conversation.attempts + 1)
        if not self.conversations.claim(conversation, next_attempt):
            return
        self._report_if_overdue(conversation.account_sid, conversation.sid, conversation.attempts + 1)
        if conversation.date_removed:
            self.conversations.erase(conversation.account_sid, conversation.sid, go_on)
        elif provisioning is not None:
            self._finish(conversation, provisioning)

    def _finish(self, conversation: Conversation, provisioning: Provisioning) -> None:
        """Continue the provisioning, or close the conversation after the last attempt.

        After the participants are added, the number of attempts is not limited, because no later step can fail
        permanently. The pauses grow up to a day, and an alert reports that the conversation is overdue.
        """
        if provisioning.status is not ProvisioningStatus.PENDING:
            self.workflow.start(conversation.account_sid, conversation.sid, [])
        elif conversation.attempts < self.retries.max_attempts:
            self.participant_adder.add(provisioning)
        else:
            self.workflow.start(conversation.account_sid, conversation.sid, [_attempts_used_up(conversation.attempts)])


def _attempts_used_up(attempts: int) -> Cause:
    message = f"An unexpected error: given up after {attempts} attempts"
    return Cause(code=InternalError.code, message=message)
