"""Add the participants of a new conversation after the response to the request."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

from convoke.domain.errors import ConversationsError, NotFoundError
from convoke.domain.events import Origin, participants_added
from convoke.domain.instants import Clock
from convoke.domain.participants import Participant
from convoke.domain.provisioning import Cause, Provisioning
from convoke.domain.services import Service
from convoke.domain.users import User, first_seen
from convoke.operations.ports import Workflow
from convoke.storage.first_sights import FirstSights
from convoke.storage.provisioning import ProvisioningRepository

Admit = Callable[[Provisioning, Participant], None]
"""A function that raises a ConversationsError if a participant cannot be added.

Convoke calls the function after the response to the request. Therefore Convoke can no longer refuse the request, and
closes the conversation instead.
"""


FetchService = Callable[[str, str], Service | None]


@dataclass(frozen=True, slots=True)
class AdmitByService:
    """Implements `Admit`. Raises NotFoundError if the service no longer exists.

    A deleted role causes no error, because participants with a deleted role have the permissions of the default role.
    """

    fetch_service: FetchService

    def __call__(self, provisioning: Provisioning, _: Participant) -> None:
        if self.fetch_service(provisioning.account_sid, provisioning.chat_service_sid) is None:
            raise NotFoundError


@dataclass(frozen=True, slots=True)
class ParticipantAdder:
    provisionings: ProvisioningRepository
    workflow: Workflow
    admit: Admit
    fetch_service: FetchService
    first_sights: FirstSights
    now: Clock

    def add(self, provisioning: Provisioning) -> None:
        """Add all participants, and start the finalizer. If one participant cannot be added, add no participant.

        The method starts the finalizer in both cases. The caller may repeat this call at any time. Participants are
        added only once, and the finalizer ignores a conversation that is already finished.
        """
        causes = self._causes(provisioning)
        if not causes:
            now = self.now()
            self.provisionings.add(
                provisioning.added(now),
                self.first_sights,
                self._users(provisioning, now),
                lambda new: participants_added(
                    provisioning.added_change_sid,
                    provisioning.subject,
                    provisioning.participants,
                    new,
                    at=now,
                    origin=Origin(notify_webhooks=provisioning.notify_webhooks),
                ),
            )
        self.workflow.start(provisioning.account_sid, provisioning.conversation_sid, causes)

    def _users(self, provisioning: Provisioning, now: datetime) -> list[User]:
        """Return a User for each participant that has an identity, or no User if the service was deleted.

        `FirstSights` stores only those of these Users that do not exist.
        """
        identities = [participant.identity for participant in provisioning.participants if participant.identity]
        service = self.fetch_service(provisioning.account_sid, provisioning.chat_service_sid) if identities else None
        return [first_seen(service, identity, now) for identity in identities] if service else []

    def _causes(self, provisioning: Provisioning) -> list[Cause]:
        causes = []
        for participant in provisioning.participants:
            try:
                self.admit(provisioning, participant)
            except ConversationsError as error:
                causes.append(Cause(code=error.code, message=error.message, participant_sid=participant.sid))
        return causes
