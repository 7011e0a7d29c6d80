"""`/Conversations/{sid}/Participants`: the participants of a conversation.

See docs/behaviour/participants.md.
"""

from __future__ import annotations

from urllib.parse import quote

from convoke.api.contracts import CHANGE_REFUSED, Contract
from convoke.api.operations import Operations
from convoke.api.pagination import Pagination
from convoke.api.parameters import FORM_NAMES, CreateParticipant, parse, parse_participant
from convoke.api.representations import Representation, RestDate, add_service_sid, json_response, no_content
from convoke.api.requests import WEBHOOK_ENABLED, ServiceRequest
from convoke.api.responses import Response
from convoke.domain import errors
from convoke.domain.participant_requests import ParticipantChange
from convoke.domain.participants import Participant


class UpdateParticipant(ParticipantChange):
    model_config = FORM_NAMES


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
    """The representation under `/Services/{sid}`, which also contains the service SID."""

    chat_service_sid: str


MEMBER_ERRORS = (
    errors.AddressEmptyError,
    errors.AddressEqualsProxyError,
    errors.AttributesNotJsonError,
    errors.AttributesTooLongError,
    errors.ChannelMismatchError,
    errors.IdentityLooksLikeUserSidError,
    errors.IdentityMissingError,
    errors.IdentityNotAcceptableError,
    errors.IdentityTooLongError,
    errors.InvalidAddressError,
    errors.InvalidDateCreatedError,
    errors.InvalidDateUpdatedError,
    errors.InvalidProxyAddressError,
    errors.InvalidRoleSidError,
    errors.NameOrLevelNotAcceptableError,
    errors.ProjectedAddressNotOwnedError,
    errors.ProxyAddressEmptyError,
    errors.ProxyAddressNotOwnedError,
    errors.ProxyNotSupportedError,
    errors.ProxyNotWhatsAppSenderError,
)
"""The errors that the parameters of a participant can cause without any other participant."""

NOT_IN_UPDATES = frozenset(
    {errors.AddressEmptyError, errors.IdentityNotAcceptableError, errors.NameOrLevelNotAcceptableError}
)
"""The errors in `MEMBER_ERRORS` that an update cannot cause, because an update lacks the parameters for them."""

MEMBERSHIP_ERRORS = (
    errors.BindingTakenError,
    errors.DuplicateGroupMemberError,
    errors.GroupExistsError,
    errors.GroupNotActivatableError,
    errors.GroupTooLargeError,
    errors.MessagingServiceMissingError,
    errors.ParticipantExistsError,
    errors.ProjectedAddressMissingError,
)
"""The errors that depend on the conversation or on other participants.

Some of these errors mean that the participant conflicts with an existing participant of any conversation.
"""

CREATE = Contract(
    "Participant",
    ParticipantRepresentation,
    statuses=(201,),
    service_representation=ServiceParticipantRepresentation,
    form=CreateParticipant,
    request_headers=(WEBHOOK_ENABLED,),
    errors=(
        *MEMBER_ERRORS,
        *CHANGE_REFUSED,
        *MEMBERSHIP_ERRORS,
        errors.TooManyNonChatParticipantsError,
        errors.TooManyParticipantsError,
    ),
)
UPDATE = Contract(
    "Participant",
    ParticipantRepresentation,
    service_representation=ServiceParticipantRepresentation,
    form=UpdateParticipant,
    request_headers=(WEBHOOK_ENABLED,),
    errors=(
        *(error for error in MEMBER_ERRORS if error not in NOT_IN_UPDATES),
        *CHANGE_REFUSED,
        *MEMBERSHIP_ERRORS,
        errors.IdentityNotAddableError,
        errors.InvalidLastReadMessageIndexError,
        errors.ProjectedAddressNotAddableError,
        errors.ProjectedAddressNotRemovableError,
        errors.ProxyAddressNotAddableError,
        errors.ProxyAddressNotRemovableError,
    ),
)
DELETE = Contract(
    "Participant",
    None,
    statuses=(204,),
    request_headers=(WEBHOOK_ENABLED,),
    errors=(*CHANGE_REFUSED, errors.GroupExistsError),
)
LIST = Contract(
    "Participants",
    ParticipantRepresentation,
    service_representation=ServiceParticipantRepresentation,
    page="participants",
)
FETCH = Contract("Participant", ParticipantRepresentation, service_representation=ServiceParticipantRepresentation)


def represent(request: ServiceRequest, participant: Participant) -> Representation:
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
    return add_service_sid(request, common, ServiceParticipantRepresentation)


def create(operations: Operations, request: ServiceRequest, conversation_sid: str) -> Response:
    # Parse the header X-Twilio-Webhook-Enabled before the form. If both are invalid, the response must report the error
    # in the header.
    request_webhooks = operations.request_webhooks(request)
    requested = parse_participant(CreateParticipant, request.form)
    created = operations.participants.create(
        request.account, request.service, conversation_sid, requested, request_webhooks=request_webhooks
    )
    return json_response(represent(request, created), status=201)


def fetch(operations: Operations, request: ServiceRequest, conversation_sid: str, sid: str) -> Response:
    return json_response(represent(request, operations.participants.fetch(request.service, conversation_sid, sid)))


def update(operations: Operations, request: ServiceRequest, conversation_sid: str, sid: str) -> Response:
    request_webhooks, requested = operations.request_webhooks(request), parse(UpdateParticipant, request.form)
    updated = operations.participants.update(
        request.account, request.service, conversation_sid, sid, requested, request_webhooks=request_webhooks
    )
    return json_response(represent(request, updated))


def delete(operations: Operations, request: ServiceRequest, conversation_sid: str, sid: str) -> Response:
    operations.participants.delete(
        request.service, conversation_sid, sid, request_webhooks=operations.request_webhooks(request)
    )
    return no_content()


def list_(operations: Operations, request: ServiceRequest, conversation_sid: str) -> Response:
    url = request.url(f"/Conversations/{quote(conversation_sid, safe='')}/Participants")
    pagination = Pagination(request, url, "participants", operations.accounts.page_key(request.account.sid))
    page = operations.participants.list(request.service, conversation_sid, pagination.page_request)
    return json_response(pagination.body(page, lambda each: represent(request, each), lambda each: each.sid))
