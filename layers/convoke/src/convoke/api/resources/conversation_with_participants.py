"""ConversationWithParticipants (reference, a.2 and b)."""

from __future__ import annotations

from aws_lambda_powertools.event_handler import Response

from convoke.api.contracts import Contract
from convoke.api.idempotency import IDEMPOTENT_REPLAYED, idempotent
from convoke.api.operations import Operations
from convoke.api.parameter_names import PARTICIPANT
from convoke.api.parameters import CreateConversation, read, read_participants
from convoke.api.preferences import PREFER, PREFERENCE_APPLIED, preferred_wait
from convoke.api.representations import answer
from convoke.api.requests import WEBHOOK_ENABLED, ServiceRequest
from convoke.api.resources.conversations import ConversationRepresentation, represent
from convoke.api.resources.participants import MEMBER_ERRORS
from convoke.domain import errors
from convoke.domain.conversations import Conversation, State
from convoke.domain.errors import refusal
from convoke.domain.idempotency import IDEMPOTENCY_KEY
from convoke.operations.conversation_with_participants import Created

WAIT_MARGIN_SECONDS = 5
"""Seconds of the time for an answer that are not waited: the last look may take some, where AWS is throttling."""

RELATION_ERRORS = (
    errors.BindingsTakenError,
    errors.DuplicateGroupMemberError,
    errors.GroupExistsError,
    errors.GroupNotActivatableError,
    errors.MessagingServiceMissingError,
    errors.ParticipantExistsError,
    errors.ParticipantNotJsonError,
    errors.ProjectedAddressMissingError,
    errors.TooManyParticipantsInRequestError,
)
"""What is wrong with participants as they are to each other, or to those of other conversations."""

CREATE = Contract(
    "ConversationWithParticipants",
    ConversationRepresentation,
    statuses=(201, 202),
    form=CreateConversation,
    participants=True,
    headers=(WEBHOOK_ENABLED, IDEMPOTENCY_KEY, PREFER),
    answered_headers=(IDEMPOTENT_REPLAYED, PREFERENCE_APPLIED),
    errors=(errors.UniqueNameTakenError, errors.IdempotencyKeyReusedError, *MEMBER_ERRORS, *RELATION_ERRORS),
)


def create(operations: Operations, request: ServiceRequest) -> Response[str]:
    """202 with participants, as they are still to be added; 201 without (reference, h 1)."""
    request_webhooks, idempotent_request = operations.request_webhooks(request), idempotent(request)
    requested, problems = read(CreateConversation, request.form)
    participants, participant_problems = read_participants(request.form.values(PARTICIPANT))
    if requested is None or participant_problems:
        further = operations.conversation_with_participants.problems(
            request.account, request.service, requested, participants
        )
        raise refusal([*problems, *participant_problems, *further])
    created = operations.conversation_with_participants.create(
        request.account,
        request.service,
        requested,
        participants,
        request_webhooks=request_webhooks,
        idempotent=idempotent_request,
    )
    conversation, headers = _waited_for(operations, request, created)
    representation = represent(request, conversation, ("Participants", "Messages", "Webhooks"))
    return answer(representation, status=202 if participants else 201, headers=headers)


def _waited_for(
    operations: Operations, request: ServiceRequest, created: Created
) -> tuple[Conversation, dict[str, str]]:
    """The conversation after the wait that the client prefers, if any, and the headers that say how it came about."""
    if created.replayed:
        return created.conversation, {IDEMPOTENT_REPLAYED: "true"}
    seconds = _wait(request) if created.conversation.state is State.INITIALIZING else None
    if seconds is None:
        return created.conversation, {}
    conversation = operations.waiting.until_left(created.conversation, seconds)
    return conversation, {PREFERENCE_APPLIED: f"wait={seconds}"}


def _wait(request: ServiceRequest) -> int | None:
    """Whole seconds, never more than there is time for; None without a preference or without time."""
    preferred, possible = preferred_wait(request.headers), request.seconds_left() - WAIT_MARGIN_SECONDS
    if preferred is None or possible < 1:
        return None
    return int(min(preferred, possible))
