"""Ends the state `initializing`, in one of two ways (promise 4): the tasks of the finalizer's state machine."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass

from convoke.domain.alerts import Alert
from convoke.domain.conversations import Conversation, State
from convoke.domain.errors import ProvisioningFailedError
from convoke.domain.events import Event, initializing_ended
from convoke.domain.instants import Clock
from convoke.domain.provisioning import Cause, Provisioning, ProvisioningStatus
from convoke.operations.ports import ChangeRepository, ConversationRepository, ProvisioningRepository

logger = logging.getLogger(__name__)


class CannotFinalizeError(Exception):
    """Finalizing has failed for good: the conversation is to be closed."""


class ConversationGoneError(Exception):
    """There is no such conversation, so there is nothing to finalize, publish or settle."""


@dataclass(frozen=True, slots=True)
class ConversationFinalizer:
    """Each task may be done again: `finalize` and `close` answer the event they once recorded."""

    conversations: ConversationRepository
    provisionings: ProvisioningRepository
    changes: ChangeRepository
    now: Clock

    def finalize(self, account_sid: str, conversation_sid: str, causes: Sequence[Cause]) -> Event:
        """Put the conversation, whose members are all in, into its requested state.

        Raises CannotFinalizeError where there are `causes` against it, RuntimeError where members are not in yet.
        """
        conversation, provisioning = self._fetch(account_sid, conversation_sid)
        if conversation.state is State.INITIALIZING:
            if causes:
                raise CannotFinalizeError
            if provisioning.status is not ProvisioningStatus.ADDED:
                raise RuntimeError("the members are not in yet")
            now = self.now()
            finished = conversation.finished(conversation.requested_state, now)
            change = initializing_ended(provisioning.state_change_sid, finished, at=now)
            if self.provisionings.finalize(finished, change):
                return change.events[0]
        return self._recorded(provisioning)

    def close(self, account_sid: str, conversation_sid: str, causes: Sequence[Cause]) -> Event:
        """Close the conversation, release its locks, and put the causes into the error log with code 50427."""
        conversation, provisioning = self._fetch(account_sid, conversation_sid)
        if conversation.state is State.INITIALIZING:
            now = self.now()
            closed = conversation.finished(State.CLOSED, now)
            failed = provisioning.failed(causes)
            change = initializing_ended(provisioning.state_change_sid, closed, at=now)
            alert = Alert(
                sid=provisioning.alert_sid,
                account_sid=account_sid,
                resource_sid=conversation_sid,
                code=ProvisioningFailedError.code,
                text=ProvisioningFailedError.text,
                causes=failed.causes,
                date_created=now,
            )
            if self.provisionings.close(closed, failed, change, alert):
                _log(alert)
                return change.events[0]
        return self._recorded(provisioning)

    def settle(self, account_sid: str, conversation_sid: str) -> None:
        """The event is on the bus: nothing of the provisioning is left to do."""
        self.conversations.settle(account_sid, conversation_sid)

    def _fetch(self, account_sid: str, conversation_sid: str) -> tuple[Conversation, Provisioning]:
        found = self.provisionings.fetch(account_sid, conversation_sid)
        if found is None:
            raise ConversationGoneError
        return found

    def _recorded(self, provisioning: Provisioning) -> Event:
        """The one event of the change; where two tasks ran at once it is the one that was first."""
        change = self.changes.fetch(provisioning.account_sid, provisioning.state_change_sid)
        if change is None:
            raise ConversationGoneError
        return change.events[0]


def _log(alert: Alert) -> None:
    causes = [cause.model_dump(mode="json", exclude_none=True) for cause in alert.causes]
    logger.error(
        "conversation closed: its participants could not be added",
        extra={"conversation_sid": alert.resource_sid, "alert_sid": alert.sid, "code": alert.code, "causes": causes},
    )
