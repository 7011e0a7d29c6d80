"""Add the participants of a new conversation after the response to the request."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from convoke.domain.errors import ConversationsError, NotFoundError
from convoke.domain.events import Origin, participants_added
from convoke.domain.instants import Clock
from convoke.domain.participants import Participant
from convoke.domain.provisioning import Cause, Provisioning
from convoke.domain.services import Service
from convoke.domain.users import first_seen
from convoke.lean_dataclass import lean_dataclass
from convoke.operations.ports import Workflow
from convoke.storage.first_sights import FirstSights
from convoke.storage.provisioning import ProvisioningRepository

Admit = Callable[[Provisioning, Participant], None]
"""A function that raises a ConversationsError if a participant cannot be added.

Convoke calls the function after the response to the request. Convoke can then no longer refuse the request, and closes
the conversation instead.
"""


FetchService = Callable[[str, str], Service | None]


@lean_dataclass
class ParticipantAdder:
    provisionings: ProvisioningRepository
    workflow: Workflow
    admit: Admit | None
    """A check of each participant, in addition to the check that the service exists. None if there is no such check."""
    fetch_service: FetchService
    first_sights: FirstSights
    now: Clock

    def add(self, provisioning: Provisioning) -> None:
        """Add all participants, and start the finalizer. If one participant cannot be added, only start the finalizer.

        The caller may repeat this call at any time. Participants are added only once, and the finalizer ignores a
        conversation that is already finished.
        """
        service = self.fetch_service(provisioning.account_sid, provisioning.chat_service_sid)
        causes = [*self._causes(provisioning, service)]
        if service and not causes:
            now = self.now()
            identities = [participant.identity for participant in provisioning.participants if participant.identity]
            self.provisionings.add(
                provisioning.added(now),
                self.first_sights,
                [first_seen(service, identity, now) for identity in identities],
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

    def _causes(self, provisioning: Provisioning, service: Service | None) -> Iterator[Cause]:
        """Yield a reason for each participant that cannot be added. If `service` is None, no participant can be added.

        A deleted role is no reason, because a participant with a deleted role counts as having the service's default
        role.
        """
        for participant in provisioning.participants:
            try:
                if service is None:
                    raise NotFoundError
                if self.admit:
                    self.admit(provisioning, participant)
            except ConversationsError as error:
                yield Cause(code=error.code, message=error.message, participant_sid=participant.sid)
