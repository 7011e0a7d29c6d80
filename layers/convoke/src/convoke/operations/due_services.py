"""Process a deleted service. Delete its conversations first, and all other items of the service later.

See docs/behaviour/services.md#delete.
"""

from __future__ import annotations

import logging
from enum import Enum, auto

from convoke.domain.alerts import overdue_alert
from convoke.domain.errors import NotFoundError
from convoke.domain.instants import Clock
from convoke.domain.provisioning import ProvisioningRetries
from convoke.domain.retention import SETTLING_TIME
from convoke.domain.services import Service
from convoke.lean_dataclass import lean_dataclass
from convoke.operations.conversations import ConversationOperations
from convoke.operations.request_webhooks import LaterWebhooks
from convoke.operations.sweeper import GoOn, TimeIsOverError
from convoke.storage import keys
from convoke.storage.alerts import AlertRepository
from convoke.storage.deleted_services import DeletedServiceRepository
from convoke.storage.table import Key

logger = logging.getLogger(__name__)


class _Outcome(Enum):
    """The result of trying to delete a conversation."""

    DELETED = auto()
    WAS_GONE = auto()
    FAILED = auto()


@lean_dataclass
class DueServices:
    """Implements `Process` of operations/sweeper.py for deleted services.

    Each call of this object is a pass. Each pass deletes the conversations of the service. A pass also deletes all
    other items if it starts at least SETTLING_TIME after the deletion of the service, and finds no conversation to
    delete. If the time of this pass ends first, a later pass continues. SETTLING_TIME is necessary, because a request
    that read the service before its deletion can create a conversation afterwards.
    """

    deleted_services: DeletedServiceRepository
    conversations: ConversationOperations
    alerts: AlertRepository
    retries: ProvisioningRetries
    now: Clock

    def __call__(self, key: Key, go_on: GoOn) -> None:
        """Run one pass for the service whose tombstone has this key. The last pass also removes the tombstone."""
        begun, deleted = self.now(), self.deleted_services.fetch(*keys.sids_of_deleted_service(key))
        if deleted is None:
            return
        service = deleted.service
        if not self.deleted_services.claim(deleted, self.retries.next_attempt_at(begun, deleted.attempts + 1)):
            return
        if self.retries.is_overdue(deleted.attempts + 1):
            self.alerts.create(overdue_alert(service.account_sid, service.sid, begun))
        is_last = self._has_no_conversations(service, go_on) and begun >= deleted.date_removed + SETTLING_TIME
        if is_last and not self.deleted_services.erase(deleted, go_on):
            raise TimeIsOverError

    def _has_no_conversations(self, service: Service, go_on: GoOn) -> bool:
        """Delete the conversations of a service. Return True if there was no conversation to delete.

        If the time for the sweep is over, raises TimeIsOverError. The sweeper then sets the number of attempts to 0
        (`DueRepository.resume`), and the service is due again immediately. Exception: if a deletion in this pass has
        failed, the method returns False. The service is then due again after a pause, which grows with the number of
        attempts.
        """
        outcomes: set[_Outcome] = set()
        for sid in self.deleted_services.conversation_sids(service):
            if not go_on():
                if _Outcome.FAILED in outcomes:
                    return False
                raise TimeIsOverError
            outcomes.add(self._delete(service, sid))
        return outcomes <= {_Outcome.WAS_GONE}

    def _delete(self, service: Service, sid: str) -> _Outcome:
        """Delete a conversation, and return the outcome.

        An unexpected error is logged and returned as FAILED. The method does not raise the error, so that the pass
        continues with the next conversation.
        """
        try:
            self.conversations.delete(service, sid, request_webhooks=LaterWebhooks(enabled=False))
        except NotFoundError:
            # The index can contain conversations that are already deleted, because the index is eventually consistent.
            return _Outcome.WAS_GONE
        except Exception:
            logger.exception("a conversation of a deleted service was not deleted", extra={"conversation_sid": sid})
            return _Outcome.FAILED
        return _Outcome.DELETED
