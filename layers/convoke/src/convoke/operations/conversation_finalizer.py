"""Ends the state `initializing`, in one of two ways (promise 4): the tasks of the finalizer's state machine."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from convoke.domain.alerts import Alert, provisioning_failed_alert
from convoke.domain.conversations import Conversation, State
from convoke.domain.events import Event, Failure, initializing_ended
from convoke.domain.instants import Clock
from convoke.domain.provisioning import Cause, Provisioning, ProvisioningStatus
from convoke.observability import Measure, Metrics
from convoke.storage.conversations import ConversationRepository
from convoke.storage.events import EventRepository
from convoke.storage.provisioning import ProvisioningRepository

logger = logging.getLogger(__name__)


class CannotFinalizeError(Exception):
    """Finalizing has failed for good: the conversation is to be closed."""


class NothingLeftError(Exception):
    """There is no such conversation, or its event is published and settled: an execution came twice or late."""


class NotInYetError(Exception):
    """The members are not in yet, or somebody else is at it: another execution will find more."""


@dataclass(frozen=True, slots=True)
class ConversationFinalizer:
    """Each task may be done again: `finalize` and `close` answer the event they once recorded, until it is settled."""

    conversations: ConversationRepository
    provisionings: ProvisioningRepository
    changes: EventRepository
    now: Clock
    metrics: Metrics

    def finalize(self, account_sid: str, conversation_sid: str, causes: Sequence[Cause]) -> Event:
        """Put the conversation, whose members are all in, into its requested state.

        Raises CannotFinalizeError where they are not in and there are `causes` for it, NotInYetError where there are
        none, and NothingLeftError.
        """
        conversation, provisioning = self._fetch(account_sid, conversation_sid)
        if conversation.state is not State.INITIALIZING:
            return self._recorded(conversation, provisioning)
        if provisioning.status is not ProvisioningStatus.ADDED:
            raise CannotFinalizeError if causes else NotInYetError
        now = self.now()
        finished = conversation.finished(conversation.requested_state, now)
        change = initializing_ended(provisioning.state_change_sid, finished, at=now)
        if self.provisionings.finalize(finished, change):
            self._finalized(provisioning, now)
            return change.events[0]
        raise self._overtaken(account_sid, conversation_sid)

    def close(self, account_sid: str, conversation_sid: str, causes: Sequence[Cause]) -> Event:
        """Close the conversation, release its locks, and put the causes into the error log with code 50427.

        Raises NotInYetError where its members came in meanwhile, and NothingLeftError.
        """
        conversation, provisioning = self._fetch(account_sid, conversation_sid)
        if conversation.state is not State.INITIALIZING:
            return self._recorded(conversation, provisioning)
        now = self.now()
        closed = conversation.finished(State.CLOSED, now)
        failed = provisioning.failed(causes, now)
        alert = provisioning_failed_alert(closed, failed, now)
        failure = Failure(alert.code, alert.text, alert.sid)
        change = initializing_ended(provisioning.state_change_sid, closed, failure, at=now)
        if self.provisionings.close(closed, failed, change, alert):
            self._closed(alert)
            return change.events[0]
        raise self._overtaken(account_sid, conversation_sid)

    def settle(self, account_sid: str, conversation_sid: str) -> None:
        """The event is on the bus: nothing of the provisioning is left to do."""
        self.conversations.settle(account_sid, conversation_sid)

    def _fetch(self, account_sid: str, conversation_sid: str) -> tuple[Conversation, Provisioning]:
        conversation, provisioning = self.provisionings.fetch(account_sid, conversation_sid) or (None, None)
        if conversation is None or provisioning is None:
            raise NothingLeftError
        return conversation, provisioning

    def _overtaken(self, account_sid: str, conversation_sid: str) -> NotInYetError:
        """Somebody else was faster. Raises NothingLeftError where it was deleted."""
        self._fetch(account_sid, conversation_sid)
        return NotInYetError()

    def _recorded(self, conversation: Conversation, provisioning: Provisioning) -> Event:
        """The one event of the change, which may not be published yet."""
        change = self.changes.fetch(provisioning.account_sid, provisioning.state_change_sid)
        if change is None or not conversation.unsettled:
            raise NothingLeftError
        return change.events[0]

    def _finalized(self, provisioning: Provisioning, at: datetime) -> None:
        logger.info("conversation finalized", extra={"conversation_sid": provisioning.conversation_sid})
        self.metrics.add(Measure.ACTIVATED)
        self.metrics.add(Measure.TIME_TO_ACTIVE, (at - provisioning.date_created).total_seconds() * 1000)

    def _closed(self, alert: Alert) -> None:
        causes = [cause.model_dump(mode="json", exclude_none=True) for cause in alert.causes]
        about = {"conversation_sid": alert.resource_sid, "alert_sid": alert.sid, "code": alert.code, "causes": causes}
        logger.error("conversation closed: its participants could not be added", extra=about)
        self.metrics.add(Measure.CLOSED)
