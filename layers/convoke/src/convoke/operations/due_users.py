"""Process a deleted User. First delete the participants of the User. Later remove the tombstone of the User.

See docs/behaviour/users.md#delete.
"""

from __future__ import annotations

import logging
from contextlib import suppress
from enum import Enum, auto

from convoke.domain.alerts import overdue_alert
from convoke.domain.errors import (
    ConversationBeingDeletedError,
    ConversationClosedError,
    ConversationInitializingError,
    GroupExistsError,
    NotFoundError,
)
from convoke.domain.events import Origin, user_added
from convoke.domain.instants import Clock
from convoke.domain.participants import KnownBy
from convoke.domain.provisioning import ProvisioningRetries
from convoke.domain.retention import SETTLING_TIME
from convoke.domain.services import Service
from convoke.domain.sids import NewSid, Prefix
from convoke.domain.users import Leaving, User, first_seen
from convoke.lean_dataclass import lean_dataclass
from convoke.operations.participant_adder import FetchService
from convoke.operations.participants import ParticipantOperations
from convoke.operations.request_webhooks import LaterWebhooks
from convoke.operations.sweeper import GoOn, TimeIsOverError
from convoke.storage import keys
from convoke.storage.alerts import AlertRepository
from convoke.storage.participant_conversations import ParticipantConversationRepository
from convoke.storage.revisions import ChangedMeanwhileError
from convoke.storage.table import Key
from convoke.storage.users import UserRepository

logger = logging.getLogger(__name__)


class _Outcome(Enum):
    """The result of trying to delete a participant."""

    LEAVES = auto()
    """The participant was deleted or has lost its identity, or a later pass must delete the participant."""
    WAS_GONE = auto()
    FAILED = auto()


@lean_dataclass
class DueUsers:
    """Implements `Process` of operations/sweeper.py for Users.

    Each call of this object is a pass. Each pass deletes the participants that are older than the deletion of the User.
    The last pass starts at least SETTLING_TIME after the deletion and finds no participant to delete. Only the last
    pass calls `_finish`. Exception: if the service of the User was also deleted, the next pass only removes the User.
    """

    users: UserRepository
    memberships: ParticipantConversationRepository
    participants: ParticipantOperations
    fetch_service: FetchService
    alerts: AlertRepository
    retries: ProvisioningRetries
    now: Clock
    new_sid: NewSid

    def __call__(self, key: Key, go_on: GoOn) -> None:
        """Run one pass for the User with this key. If further passes are necessary, the User stays due."""
        begun, user = self.now(), self.users.fetch_with_tombstone(*keys.sids_of_user(key))
        if user is None or user.leaving is None:
            return
        if not self.users.claim(user, self.retries.next_attempt_at(begun, user.attempts + 1)):
            return
        if self.retries.is_overdue(user.attempts + 1):
            self.alerts.create(overdue_alert(user.account_sid, user.sid, begun))
        service = self.fetch_service(user.account_sid, user.chat_service_sid)
        if service is None:
            # The service was deleted. The sweeper deletes the participants of a deleted service separately.
            self.users.erase(user)
            return
        is_clean, is_seen = self._pass(service, user, user.leaving, go_on)
        if is_clean and begun >= user.leaving.since + SETTLING_TIME:
            # If a new User has replaced the tombstone during this pass, the next pass processes the new User.
            with suppress(ChangedMeanwhileError):
                self._finish(service, user, is_seen=is_seen)

    def _pass(self, service: Service, user: User, leaving: Leaving, go_on: GoOn) -> tuple[bool, bool]:
        """Delete the participants of the User that were created before the User was deleted.

        The first result is whether there was no participant to delete. The second result is whether the identity has
        participants that are newer than the deletion.

        If the time for the sweep is over, raises TimeIsOverError. The sweeper then sets the number of attempts to 0
        (`DueRepository.resume`), and the User is due again immediately. Exception: if a deletion in this pass has
        failed, the first result is False. The User is then due again after a pause, which grows with the number of
        attempts.
        """
        outcomes: set[_Outcome] = set()
        is_seen = False
        known_by = KnownBy("identity", user.identity)
        for key in self.memberships.participant_keys(user.account_sid, user.chat_service_sid, known_by):
            if not go_on():
                if _Outcome.FAILED in outcomes:
                    return False, is_seen
                raise TimeIsOverError
            _, conversation_sid = keys.sids_of_conversation(key)
            participant_sid = keys.sid_of_participant(key)
            if not leaving.includes(participant_sid):
                is_seen = True
            else:
                outcomes.add(self._delete(service, user, leaving, conversation_sid, participant_sid))
        return outcomes <= {_Outcome.WAS_GONE}, is_seen

    def _delete(
        self, service: Service, user: User, leaving: Leaving, conversation_sid: str, participant_sid: str
    ) -> _Outcome:
        """Delete a participant, and return the outcome.

        An unexpected error is logged and returned as FAILED. The method does not raise the error, so that the pass
        continues with the next participant.
        """
        try:
            return self._leave(service, user, leaving, conversation_sid, participant_sid)
        except Exception:
            context = {"conversation_sid": conversation_sid, "participant_sid": participant_sid}
            logger.exception("a participant of a deleted user could not be deleted", extra=context)
            return _Outcome.FAILED

    def _leave(
        self, service: Service, user: User, leaving: Leaving, conversation_sid: str, participant_sid: str
    ) -> _Outcome:
        webhooks = LaterWebhooks(enabled=leaving.notify_webhooks)
        try:
            # The index is eventually consistent, so the participant may no longer have this identity.
            if self.participants.fetch(service, conversation_sid, participant_sid).identity != user.identity:
                return _Outcome.WAS_GONE
            self.participants.delete(service, conversation_sid, participant_sid, request_webhooks=webhooks)
        except (NotFoundError, ConversationBeingDeletedError, ConversationClosedError):
            # A closed conversation keeps its participants.
            return _Outcome.WAS_GONE
        except ConversationInitializingError:
            return _Outcome.LEAVES
        except GroupExistsError:
            # Remove only the identity. Without the participant, two groups would have the same numbers.
            self.participants.remove_identity(service, conversation_sid, participant_sid, request_webhooks=webhooks)
        return _Outcome.LEAVES

    def _finish(self, service: Service, user: User, *, is_seen: bool) -> None:
        """End the deletion of a User. Remove the tombstone, or `leaving` of a new User that has replaced the tombstone.

        `is_seen` is True if the identity has a participant that is newer than the deletion. A process with an outdated
        cache can add such a participant without creating a User. The method then replaces the tombstone with a new
        User.
        """
        if user.date_removed is None:
            self.users.update(user, user.after_leaving(), None)
        elif is_seen:
            now = self.now()
            fresh = first_seen(service, user.identity, now).in_place_of(user).after_leaving()
            self.users.replace(
                fresh, user_added(self.new_sid(Prefix.CHANGE), fresh, at=now, origin=Origin(notify_webhooks=False))
            )
        else:
            self.users.erase(user)
