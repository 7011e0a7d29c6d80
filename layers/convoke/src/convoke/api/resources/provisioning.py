"""`/convoke/v1/Conversations/{sid}/Provisioning`: whether Convoke has added each requested participant.

See docs/behaviour/provisioning.md.
"""

from __future__ import annotations

from convoke.api.contracts import Contract
from convoke.api.operations import Operations
from convoke.api.representations import Representation, RestDate, json_response
from convoke.api.requests import CONVOKE_PREFIX, ServiceRequest
from convoke.api.responses import Response
from convoke.domain.conversations import Conversation, State
from convoke.domain.participants import Participant
from convoke.domain.provisioning import Provisioning, ProvisioningStatus


class ProvisionedParticipantRepresentation(Representation):
    sid: str
    status: ProvisioningStatus
    code: int | None
    message: str | None
    url: str


class CauseRepresentation(Representation):
    code: int
    message: str


class ProvisioningRepresentation(Representation):
    account_sid: str
    conversation_sid: str
    state: State
    status: ProvisioningStatus
    attempts: int
    date_created: RestDate
    date_updated: RestDate
    alert_sid: str | None
    participants: list[ProvisionedParticipantRepresentation]
    causes: list[CauseRepresentation]
    url: str
    links: dict[str, str]


FETCH = Contract("Provisioning", ProvisioningRepresentation)


def represent(
    request: ServiceRequest, conversation: Conversation, provisioning: Provisioning
) -> ProvisioningRepresentation:
    path = f"/Conversations/{conversation.sid}"
    url = request.url(path)
    failed = provisioning.status is ProvisioningStatus.FAILED
    return ProvisioningRepresentation(
        account_sid=conversation.account_sid,
        conversation_sid=conversation.sid,
        state=conversation.state,
        status=provisioning.status,
        attempts=conversation.attempts,
        date_created=provisioning.date_created,
        date_updated=provisioning.date_updated or provisioning.date_created,
        alert_sid=provisioning.alert_sid if failed else None,
        participants=[
            _provisioned_participant(url, provisioning, participant) for participant in provisioning.participants
        ],
        causes=[CauseRepresentation(code=cause.code, message=cause.message) for cause in provisioning.shared_causes],
        url=request.url(f"{path}/Provisioning", CONVOKE_PREFIX),
        links={"conversation": url, "participants": f"{url}/Participants"},
    )


def fetch(operations: Operations, request: ServiceRequest, conversation_sid: str) -> Response:
    return json_response(represent(request, *operations.provisionings.fetch(request.service, conversation_sid)))


def _provisioned_participant(
    url: str, provisioning: Provisioning, participant: Participant
) -> ProvisionedParticipantRepresentation:
    """Return the representation of one participant.

    One transaction adds all participants, so each participant has the status of the whole provisioning.
    """
    cause = provisioning.cause_of(participant)
    return ProvisionedParticipantRepresentation(
        sid=participant.sid,
        status=provisioning.status,
        code=cause.code if cause else None,
        message=cause.message if cause else None,
        url=f"{url}/Participants/{participant.sid}",
    )
