"""ConversationWithParticipants (reference, a.2 and b)."""

from __future__ import annotations

from aws_lambda_powertools.event_handler import Response

from convoke.api.conversations import represent
from convoke.api.operations import Operations
from convoke.api.parameters import PARTICIPANT, CreateConversation, read, read_participants
from convoke.api.representations import answer
from convoke.api.requests import ServiceRequest
from convoke.domain.errors import refusal


def create(operations: Operations, request: ServiceRequest) -> Response[str]:
    """202 with participants, as they are still to be added; 201 without (reference, h 1)."""
    webhooks = request.webhooks
    requested, problems = read(CreateConversation, request.form)
    participants, participant_problems = read_participants(request.form.values(PARTICIPANT))
    if requested is None or participant_problems:
        further = operations.conversation_with_participants.problems(
            request.account, request.service, requested, participants
        )
        raise refusal([*problems, *participant_problems, *further])
    conversation = operations.conversation_with_participants.create(
        request.account, request.service, requested, participants, webhooks=webhooks
    )
    representation = represent(request, conversation, ("Participants", "Messages", "Webhooks"))
    return answer(representation, status=202 if participants else 201)
