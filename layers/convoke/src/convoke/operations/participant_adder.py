"""Add the participants of a new conversation. This is the first step after the response to the request."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from convoke.domain.errors import ConversationsError, InvalidRoleSidError, NotFoundError
from convoke.domain.events import participants_added
from convoke.domain.instants import Clock
from convoke.domain.participants import Participant
from convoke.domain.provisioning import Cause, Provisioning
from convoke.domain.services import Service
from convoke.operations.ports import Workflow
from convoke.storage.provisioning import ProvisioningRepository

Admit = Callable[[Provisioning, Participant], None]
"""A check whether a participant can be added. Raises a ConversationsError if the participant cannot be added.

The check runs after Convoke has accepted the request. A rejected participant therefore closes the conversation.
"""


@dataclass(frozen=True, slots=True)
class AdmitByService:
    """An `Admit` that accepts a participant whose role still exists in the service."""

    fetch_service: Callable[[str, str], Service | None]

    def __call__(self, provisioning: Provisioning, participant: Participant) -> None:
        service = self.fetch_service(provisioning.account_sid, provisioning.chat_service_sid)
        if service is None:
            raise NotFoundError
        if participant.role_sid is not None and participant.role_sid not in service.conversation_role_sids:
            raise InvalidRoleSidError


@dataclass(frozen=True, slots=True)
class ParticipantAdder:
    provisionings: ProvisioningRepository
    workflow: Workflow
    admit: Admit
    now: Clock

    def add(self, provisioning: Provisioning) -> None:
        """Add all participants, and start the finalizer. If one participant cannot be added, add no participant.

        The finalizer is started in any case. The method can be called again at any time, because participants are added
        only once and the finalizer ignores finished work.
        """
        causes = self._causes(provisioning)
        if not causes:
            now = self.now()
            change = participants_added(
                provisioning.added_change_sid,
                provisioning.subject,
                provisioning.participants,
                at=now,
                notify_webhooks=provisioning.notify_webhooks,
            )
            self.provisionings.add(provisioning.added(now), change)
        self.workflow.start(provisioning.account_sid, provisioning.conversation_sid, causes)

    def _causes(self, provisioning: Provisioning) -> list[Cause]:
        causes = []
        for participant in provisioning.participants:
            try:
                self.admit(provisioning, participant)
            except ConversationsError as error:
                causes.append(Cause(code=error.code, message=error.message, participant_sid=participant.sid))
        return causes
