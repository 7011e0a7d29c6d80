"""ConversationWithParticipants (reference, a.2 and b)."""

from __future__ import annotations

from aws_lambda_powertools.event_handler import Response

from convoke.api.conversations import represent
from convoke.api.operations import Operations
from convoke.api.parameters import CreateConversationWithParticipants, parse
from convoke.api.representations import answer
from convoke.api.requests import ServiceRequest


def create(operations: Operations, request: ServiceRequest) -> Response[str]:
    """202 with participants, as they are still to be added; 201 without (reference, h 1)."""
    webhooks = request.webhooks
    parameters = parse(CreateConversationWithParticipants, request.form)
    participants = parameters.participant
    conversation = operations.conversation_with_participants.create(
        request.account, request.service, parameters, participants, webhooks=webhooks
    )
    representation = represent(request, conversation, ("Participants", "Messages", "Webhooks"))
    return answer(representation, status=202 if participants else 201)
