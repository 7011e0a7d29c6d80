"""Participants (reference, a.3)."""

from __future__ import annotations

from urllib.parse import quote

from aws_lambda_powertools.event_handler import Response

from convoke.api.contracts import Contract
from convoke.api.operations import Operations
from convoke.api.pagination import Pagination
from convoke.api.representations import Representation, RestDate, answer
from convoke.api.requests import ServiceRequest
from convoke.domain.participants import Participant


class ParticipantRepresentation(Representation):
    account_sid: str
    conversation_sid: str
    sid: str
    identity: str | None
    attributes: str
    messaging_binding: dict[str, str] | None
    role_sid: str | None
    date_created: RestDate
    date_updated: RestDate
    url: str
    last_read_message_index: int | None
    last_read_timestamp: RestDate | None


class ServiceParticipantRepresentation(ParticipantRepresentation):
    """In the service tree there is one field more (reference, a.0)."""

    chat_service_sid: str


LIST = Contract(
    "Participants", ParticipantRepresentation, in_service=ServiceParticipantRepresentation, page="participants"
)
FETCH = Contract("Participant", ParticipantRepresentation, in_service=ServiceParticipantRepresentation)


def represent(request: ServiceRequest, participant: Participant) -> ParticipantRepresentation:
    binding = participant.messaging_binding
    common = ParticipantRepresentation(
        account_sid=participant.account_sid,
        conversation_sid=participant.conversation_sid,
        sid=participant.sid,
        identity=participant.identity,
        attributes=participant.attributes,
        messaging_binding=binding.model_dump(exclude_none=True, mode="json") if binding else None,
        role_sid=participant.role_sid,
        date_created=participant.date_created,
        date_updated=participant.date_updated,
        url=request.url(f"/Conversations/{participant.conversation_sid}/Participants/{participant.sid}"),
        last_read_message_index=participant.last_read_message_index,
        last_read_timestamp=participant.last_read_timestamp,
    )
    if request.short:
        return common
    return ServiceParticipantRepresentation(**common.model_dump(), chat_service_sid=request.service.sid)


def fetch(operations: Operations, request: ServiceRequest, conversation_sid: str, sid: str) -> Response[str]:
    return answer(represent(request, operations.participants.fetch(request.service, conversation_sid, sid)))


def list_(operations: Operations, request: ServiceRequest, conversation_sid: str) -> Response[str]:
    url = request.url(f"/Conversations/{quote(conversation_sid, safe='')}/Participants")
    pagination = Pagination(request, url, "participants", operations.accounts.page_key(request.account.sid))
    page = operations.participants.list(request.service, conversation_sid, pagination.wanted)
    return answer(pagination.body(page, lambda each: represent(request, each), lambda each: each.sid))
