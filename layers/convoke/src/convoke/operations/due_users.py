"""Process a User that was deleted: delete its participants, then its tombstone.

See docs/behaviour/users.md#delete.
"""

from __future__ import annotations

import logging
from contextlib import suppress
from dataclasses import dataclass
from datetime import timedelta

from convoke.domain.errors import (
    ConversationBeingDeletedError,
    ConversationClosedError,
    ConversationInitializingError,
    GroupExistsError,
    NotFoundError,
    UserExistsError,
)
from convoke.domain.events import user_added
from convoke.domain.instants import Clock
from convoke.domain.participants import KnownBy
from convoke.domain.provisioning import ProvisioningRetries
from convoke.domain.services import Service
from convoke.domain.sids import NewSid, Prefix
from convoke.domain.users import Leaving, User, first_seen
from convoke.operations.participant_adder import FetchService
from convoke.operations.participants import ParticipantOperations
from convoke.operations.pre_events import LaterWebhooks
from convoke.operations.sweeper import GoOn
from convoke.storage import keys
from convoke.storage.participant_conversations import ParticipantConversationRepository
from convoke.storage.revisions import ChangedMeanwhileError
from convoke.storage.table import Key
from convoke.storage.users import UserRepository

logger = logging.getLogger(__name__)

SETTLING_TIME = timedelta(seconds=60)
"""The time after which a deletion is visible everywhere.

Until then, caches and indexes may be outdated, and invocations that read the User before may still be running.
"""


@dataclass(frozen=True, slots=True)
class DueUsers:
    """Implements `Process` for Users.

    Each pass deletes the participants that are older than the deletion of the User. The tombstone goes after a pass
    that began at least SETTLING_TIME after the deletion and found nothing to delete.
    """

    users: UserRepository
    memberships: ParticipantConversationRepository
    participants: ParticipantOperations
    fetch_service: FetchService
    retries: ProvisioningRetries
    now: Clock
    new_sid: NewSid

    def __call__(self, key: Key, go_on: GoOn) -> None:
        """Process the User with this key. If an error occurs, the User stays due."""
        begun, user = self.now(), self.users.fetch_with_tombstone(*keys.sids_of_user(key))
        if user is None or user.leaving is None:
            return
        if not self.users.claim(user, self.retries.next_attempt_at(begun, user.attempts + 1)):
            return
        service = self.fetch_service(user.account_sid, user.chat_service_sid)
        if service is None:
            # The participants are deleted with the service.
            self.users.erase(user)
            return
        is_clean, is_seen = self._pass(service, user, user.leaving, go_on)
        if is_clean and begun >= user.leaving.since + SETTLING_TIME:
            # If a new User has replaced the tombstone meanwhile, the next pass processes the new User.
            with suppress(ChangedMeanwhileError, UserExistsError):
                self._finish(service, user, is_seen=is_seen)

    def _pass(self, service: Service, user: User, leaving: Leaving, go_on: GoOn) -> tuple[bool, bool]:
        """Delete the participants of the User that are older than its deletion.

        Return whether there was nothing to delete, and whether there are newer participants.
        """
        is_clean, is_seen = True, False
        known_by = KnownBy("identity", user.identity)
        for key in self.memberships.participant_keys(user.account_sid, user.chat_service_sid, known_by):
            if not go_on():
                return False, is_seen
            _, conversation_sid = keys.sids_of_conversation(key)
            participant_sid = keys.sid_of_participant(key)
            if not leaving.includes(participant_sid):
                is_seen = True
            elif not self._is_gone(service, user, leaving, conversation_sid, participant_sid):
                is_clean = False
        return is_clean, is_seen

    def _is_gone(
        self, service: Service, user: User, leaving: Leaving, conversation_sid: str, participant_sid: str
    ) -> bool:
        """Delete a participant. Return whether nothing was to do. A failure of one participant does not stop a pass."""
        try:
            return self._leave(service, user, leaving, conversation_sid, participant_sid)
        except Exception:
            context = {"conversation_sid": conversation_sid, "participant_sid": participant_sid}
            logger.exception("a participant of a deleted user could not be deleted", extra=context)
            return False

    def _leave(
        self, service: Service, user: User, leaving: Leaving, conversation_sid: str, participant_sid: str
    ) -> bool:
        webhooks = LaterWebhooks(enabled=leaving.notify_webhooks)
        try:
            # The index is eventually consistent, so the participant may have lost its identity.
            if self.participants.fetch(service, conversation_sid, participant_sid).identity != user.identity:
                return True
            self.participants.delete(service, conversation_sid, participant_sid, request_webhooks=webhooks)
        except (NotFoundError, ConversationBeingDeletedError, ConversationClosedError):
            # A closed conversation keeps its participants.
            return True
        except ConversationInitializingError:
            return False
        except GroupExistsError:
            # Without this business number, the group would have the same numbers as another group.
            self.participants.remove_identity(service, conversation_sid, participant_sid, request_webhooks=webhooks)
        return False

    def _finish(self, service: Service, user: User, *, is_seen: bool) -> None:
        """Remove the tombstone, or the note in the User that has replaced the tombstone.

        A process with an outdated cache can add the identity without a User. Such an identity gets its User here.
        """
        if user.date_removed is None:
            self.users.update(user, user.after_leaving(), None)
        elif is_seen:
            now = self.now()
            fresh = first_seen(service, user.identity, now).in_place_of(user).after_leaving()
            self.users.create(fresh, user_added(self.new_sid(Prefix.CHANGE), fresh, at=now, notify_webhooks=False))
        else:
            self.users.erase(user)
