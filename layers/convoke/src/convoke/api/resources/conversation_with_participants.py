"""`/ConversationWithParticipants`: creates a conversation with up to ten participants in one request.

See docs/behaviour/conversation-with-participants.md.
"""

from __future__ import annotations

from collections.abc import Mapping

from convoke.api.contracts import Contract
from convoke.api.deferred import Deferred
from convoke.api.idempotency import IDEMPOTENT_REPLAYED, parse_idempotency_key
from convoke.api.operations import Operations
from convoke.api.parameter_names import PARTICIPANT
from convoke.api.parameters import read, read_participants, warn_of_unknown_parameters
from convoke.api.preferences import PREFER, PREFERENCE_APPLIED, preferred_wait
from convoke.api.representations import json_response
from convoke.api.requests import WEBHOOK_ENABLED, ServiceRequest
from convoke.api.resources.conversations import ConversationRepresentation, CreateConversation, represent
from convoke.api.resources.participants import MEMBER_ERRORS
from convoke.api.responses import Response
from convoke.domain import errors
from convoke.domain.conversations import Conversation, State
from convoke.domain.errors import refusal
from convoke.domain.idempotency import IDEMPOTENCY_KEY

WAIT_MARGIN_SECONDS = 5
"""The minimum time between the end of a wait and the timeout of the Lambda invocation.

After the wait, the function reads the conversation once more. If DynamoDB throttles this read, it can take seconds. On
the embedded engine, the margin has no effect, because requests have no time limit.
"""

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
"""The errors about participants, except the errors in `MEMBER_ERRORS`.

Some of these errors mean that a requested participant conflicts with a participant of the same request or of an
existing conversation.
"""

CREATE = Contract(
    "ConversationWithParticipants",
    ConversationRepresentation,
    statuses=(201, 202),
    form=CreateConversation,
    participants=True,
    request_headers=(WEBHOOK_ENABLED, IDEMPOTENCY_KEY, PREFER),
    response_headers=(IDEMPOTENT_REPLAYED, PREFERENCE_APPLIED),
    errors=(errors.UniqueNameTakenError, errors.IdempotencyKeyReusedError, *MEMBER_ERRORS, *RELATION_ERRORS),
)


def create(operations: Operations, request: ServiceRequest) -> Response | Deferred:
    """Create a conversation. The status is 202 if the request has participants, otherwise 201.

    See docs/behaviour/conversation-with-participants.md#status-codes.
    """
    request_webhooks, idempotent_request = operations.request_webhooks(request), parse_idempotency_key(request)
    # Continue after the first problem, because the response to an invalid request contains all problems.
    warn_of_unknown_parameters(CreateConversation, request.form, PARTICIPANT)
    requested, problems = read(CreateConversation, request.form)
    participants, participant_problems = read_participants(request.form)
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

    def respond(conversation: Conversation, headers: Mapping[str, str]) -> Response:
        representation = represent(request, conversation, with_export=False)
        return json_response(representation, status=202 if participants else 201, headers=headers)

    conversation = created.conversation
    # A request that repeats an idempotency key gets its response without a wait, even if the client prefers to wait.
    if created.repeated:
        return respond(conversation, {IDEMPOTENT_REPLAYED: "true"})
    seconds = _seconds_to_wait(request) if conversation.state is State.INITIALIZING else None
    if seconds is None:
        return respond(conversation, {})
    headers = {PREFERENCE_APPLIED: f"wait={seconds}"}
    return Deferred(conversation, seconds, lambda current: respond(current, headers))


def _seconds_to_wait(request: ServiceRequest) -> int | None:
    """Return how many seconds to wait: the time that the client prefers, limited by the timeout of the invocation.

    Return None if the client does not prefer to wait, or if there is less than one second for the wait.
    """
    preferred, available = preferred_wait(request.headers), request.seconds_left() - WAIT_MARGIN_SECONDS
    if preferred is None or available < 1:
        return None
    return int(min(preferred, available))
