"""Process a due conversation: finish the provisioning, apply expired timers, or erase a deleted conversation.

See docs/how-it-works.md#promises.
"""

from __future__ import annotations

import logging
from contextlib import suppress

from convoke.domain.alerts import overdue_alert
from convoke.domain.conversations import Conversation
from convoke.domain.errors import InternalError
from convoke.domain.events import timer_expired
from convoke.domain.instants import Clock
from convoke.domain.provisioning import Cause, Provisioning, ProvisioningRetries, ProvisioningStatus
from convoke.domain.sids import NewSid, Prefix
from convoke.lean_dataclass import lean_dataclass
from convoke.operations.participant_adder import ParticipantAdder
from convoke.operations.ports import Workflow
from convoke.operations.sweeper import GoOn, TimeIsOverError
from convoke.storage import keys
from convoke.storage.alerts import AlertRepository
from convoke.storage.conversations import ConversationRepository
from convoke.storage.provisioning import ProvisioningRepository
from convoke.storage.revisions import ChangedMeanwhileError
from convoke.storage.table import Key

logger = logging.getLogger(__name__)


@lean_dataclass
class DueConversations:
    """Implements `Process` of operations/sweeper.py for conversations.

    The pauses between the attempts to add the participants grow. If the participants are not added after
    `retries.max_attempts` attempts, the conversation is closed.
    """

    conversations: ConversationRepository
    provisionings: ProvisioningRepository
    alerts: AlertRepository
    participant_adder: ParticipantAdder
    workflow: Workflow
    retries: ProvisioningRetries
    now: Clock
    new_sid: NewSid

    def __call__(self, key: Key, go_on: GoOn) -> None:
        """Process the conversation with this key. If an error occurs, the sweeper postpones the conversation."""
        found = self.provisionings.fetch(*keys.sids_of_conversation(key))
        if found is None:
            return
        conversation, provisioning = found
        if conversation.is_unfinished:
            self._finish_or_erase(conversation, provisioning, go_on)
        else:
            self._run_timers(conversation)

    def _run_timers(self, conversation: Conversation) -> None:
        """Apply the expired timers of a conversation. If no timer has expired, correct an outdated due time.

        The sweeper need not claim the conversation. If several sweepers process the conversation at the same time,
        optimistic locking permits only one change.
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

    def _finish_or_erase(self, conversation: Conversation, provisioning: Provisioning | None, go_on: GoOn) -> None:
        """Claim an unfinished conversation. Then erase the conversation if it is deleted, or continue its provisioning.

        The claim sets a later due time. Therefore the next attempt does not start immediately if the sweeper crashes.
        Does nothing if the claim fails. If the conversation is overdue, the method also stores an alert. Raises
        TimeIsOverError if the time of the sweep is over before the conversation is erased completely.
        """
        next_attempt = self.retries.next_attempt_at(self.now(), conversation.attempts + 1)
        if not self.conversations.claim(conversation, next_attempt):
            return
        if self.retries.is_overdue(conversation.attempts + 1):
            self.alerts.create(overdue_alert(conversation.account_sid, conversation.sid, self.now()))
        if conversation.date_removed:
            if not self.conversations.erase(conversation.account_sid, conversation.sid, go_on):
                raise TimeIsOverError
        elif provisioning is not None:
            self._finish(conversation, provisioning)

    def _finish(self, conversation: Conversation, provisioning: Provisioning) -> None:
        """Continue the provisioning, or close the conversation after the last attempt to add the participants.

        Only the attempts to add participants are limited, because only this step can fail permanently. The other steps
        are repeated without a limit. Their pauses grow up to a day, and an alert reports the overdue conversation.
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
