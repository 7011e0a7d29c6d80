"""The tasks of the state machine that ends the state `initializing`: finalize, close, settle.

Unless a conversation is deleted before, it leaves `initializing` in one of two ways. Either the conversation gets its
requested state with every participant, or the conversation is closed. See docs/how-it-works.md#promises.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from datetime import datetime
from typing import TypeVar

from convoke.domain.alerts import Alert, provisioning_failed_alert
from convoke.domain.conversations import Conversation, State
from convoke.domain.events import Event, Failure, initializing_ended
from convoke.domain.instants import Clock
from convoke.domain.provisioning import Cause, ProvisioningStatus, ProvisioningSummary
from convoke.lean_dataclass import lean_dataclass
from convoke.observability import Measure, Metrics
from convoke.storage.alerts import alert_writes
from convoke.storage.conversations import ConversationRepository
from convoke.storage.events import EventRepository
from convoke.storage.provisioning import ProvisioningRepository

logger = logging.getLogger(__name__)

Record = TypeVar("Record", bound=ProvisioningSummary)


class MustCloseError(Exception):
    """The participants cannot be added, so the state machine must close the conversation."""


class NothingToFinalizeError(Exception):
    """There is no event about the end of `initializing` to publish.

    Either the event is already published, or the conversation or the event was deleted. This error occurs, for example,
    if the state machine is started twice for a conversation.
    """


class NotReadyError(Exception):
    """The participants are not added yet, or a concurrent execution has changed the conversation.

    A later execution finishes the work.
    """


@lean_dataclass
class ConversationFinalizer:
    """The tasks of the state machine. Every task can be repeated.

    The first execution of `finalize` or `close` stores an event. Before `settle` is called, a repeated execution
    returns the same event.
    """

    conversations: ConversationRepository
    provisionings: ProvisioningRepository
    changes: EventRepository
    now: Clock
    metrics: Metrics

    def finalize(self, account_sid: str, conversation_sid: str, causes: Sequence[Cause]) -> Event:
        """Change the conversation to its requested state, and return the event.

        `causes` are the reasons why the participants cannot be added. If the participants are not added, raises
        MustCloseError if there are causes, and NotReadyError if there are no causes.

        Also raises NotReadyError if a concurrent execution has changed the conversation. Raises NothingToFinalizeError
        if there is no event to publish.
        """
        conversation, provisioning = self._fetch_summary(account_sid, conversation_sid)
        if conversation.state is not State.INITIALIZING:
            return self._recorded_event(conversation, provisioning)
        if provisioning.status is not ProvisioningStatus.ADDED:
            raise MustCloseError if causes else NotReadyError
        now = self.now()
        finished = conversation.finished(conversation.requested_state, now)
        change = initializing_ended(provisioning.state_change_sid, finished, at=now)
        if self.provisionings.finalize(finished, change):
            self._report_finalized(provisioning, now)
            return change.events[0]
        raise self._changed_concurrently(account_sid, conversation_sid)

    def close(self, account_sid: str, conversation_sid: str, causes: Sequence[Cause]) -> Event:
        """Close the conversation, release its locks, record an alert with code 50427, and return the event.

        `causes` are the reasons why the participants cannot be added. Raises NotReadyError if the participants have
        been added in the meantime, or if a concurrent execution has changed the conversation. Raises
        NothingToFinalizeError if there is no event to publish.
        """
        conversation, provisioning = _existing(self.provisionings.fetch(account_sid, conversation_sid))
        if conversation.state is not State.INITIALIZING:
            return self._recorded_event(conversation, provisioning)
        now = self.now()
        closed = conversation.finished(State.CLOSED, now)
        failed = provisioning.failed(causes, now)
        alert = provisioning_failed_alert(closed, failed, now)
        failure = Failure(alert.code, alert.text, alert.sid)
        change = initializing_ended(provisioning.state_change_sid, closed, failure, at=now)
        if self.provisionings.close(closed, failed, change, alert_writes(alert)):
            self._report_closed(alert)
            return change.events[0]
        raise self._changed_concurrently(account_sid, conversation_sid)

    def settle(self, account_sid: str, conversation_sid: str) -> None:
        """Record that the event is on the bus, so that the sweeper does not start the state machine again."""
        self.conversations.settle(account_sid, conversation_sid)

    def _fetch_summary(self, account_sid: str, conversation_sid: str) -> tuple[Conversation, ProvisioningSummary]:
        return _existing(self.provisionings.fetch_summary(account_sid, conversation_sid))

    def _changed_concurrently(self, account_sid: str, conversation_sid: str) -> NotReadyError:
        """Return the error for an execution whose write failed because of a concurrent write.

        Raises NothingToFinalizeError if the conversation was deleted.
        """
        self._fetch_summary(account_sid, conversation_sid)
        return NotReadyError()

    def _recorded_event(self, conversation: Conversation, provisioning: ProvisioningSummary) -> Event:
        """Return the event that an earlier execution of `finalize` or `close` stored.

        Raises NothingToFinalizeError if `settle` has recorded that the event is published, or if the event is deleted.
        """
        change = self.changes.fetch(provisioning.account_sid, provisioning.state_change_sid)
        if change is None or not conversation.unsettled:
            raise NothingToFinalizeError
        return change.events[0]

    def _report_finalized(self, provisioning: ProvisioningSummary, at: datetime) -> None:
        logger.info("conversation finalized", extra={"conversation_sid": provisioning.conversation_sid})
        self.metrics.add(Measure.ACTIVATED)
        self.metrics.add(Measure.TIME_TO_ACTIVE, (at - provisioning.date_created).total_seconds() * 1000)

    def _report_closed(self, alert: Alert) -> None:
        causes = [cause.model_dump(mode="json", exclude_none=True) for cause in alert.causes]
        context = {"conversation_sid": alert.resource_sid, "alert_sid": alert.sid, "code": alert.code, "causes": causes}
        logger.error("conversation closed because its participants could not be added", extra=context)
        self.metrics.add(Measure.CLOSED)


def _existing(found: tuple[Conversation, Record | None] | None) -> tuple[Conversation, Record]:
    """Return `found`. Raises NothingToFinalizeError if the conversation or its provisioning does not exist."""
    conversation, provisioning = found or (None, None)
    if conversation is None or provisioning is None:
        raise NothingToFinalizeError
    return conversation, provisioning
