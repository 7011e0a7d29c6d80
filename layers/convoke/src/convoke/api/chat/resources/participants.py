"""`/Conversations/{sid}/Participants`: join a conversation, and add, update and remove participants."""

from __future__ import annotations

from collections.abc import Iterator
from http import HTTPStatus
from typing import Any

from convoke.api.chat.acting import checked_webhooks, enter, service_url
from convoke.api.chat.parameters import is_given, parse, validated
from convoke.api.chat.requests import ChatAnswer, ChatRequest
from convoke.api.operations import Operations
from convoke.domain.conversations import Conversation
from convoke.domain.instants import to_milliseconds
from convoke.domain.participant_requests import ParticipantChange
from convoke.domain.participants import NewParticipant, Participant
from convoke.domain.permissions import Action
from convoke.domain.principals import Principal

PARAMETERS = ("identity", "attributes", "messaging_binding")

BINDING_KEYS = ("address", "proxy_address", "name", "level")


def represent(request: ChatRequest, participant: Participant) -> dict[str, Any]:
    binding = participant.messaging_binding
    url = service_url(request, f"/Conversations/{participant.conversation_sid}")
    return {
        "sid": participant.sid,
        "identity": participant.identity,
        "attributes": participant.attributes,
        "messaging_binding": binding.model_dump(exclude_none=True, mode="json") if binding else None,
        "role_sid": participant.role_sid,
        "date_created": to_milliseconds(participant.date_created),
        "date_updated": to_milliseconds(participant.date_updated),
        "links": {"self": f"{url}/Participants/{participant.sid}", "conversation": url},
    }


def create(operations: Operations, request: ChatRequest, conversation_sid: str) -> ChatAnswer:
    conversation, principal = enter(operations, request, conversation_sid)
    for action in _needed(request):
        principal.check(action)
    created = operations.participants.create(
        request.account,
        request.service,
        conversation.sid,
        _requested(request, conversation),
        request_webhooks=checked_webhooks(operations, request, conversation, principal),
    )
    return ChatAnswer(HTTPStatus.CREATED, represent(request, created))


def _needed(request: ChatRequest) -> Iterator[Action]:
    """Yield each action for which the user needs a permission. The actions depend on the requested participant."""
    has_binding = is_given(request.body, "messaging_binding")
    if has_binding:
        yield Action.ADD_NON_CHAT_PARTICIPANT
    if is_given(request.body, "identity") or not has_binding:
        joins = request.body.get("identity") == request.identity
        yield Action.JOIN_CONVERSATION if joins else Action.ADD_PARTICIPANT


def _requested(request: ChatRequest, conversation: Conversation) -> NewParticipant:
    given = {name: request.body[name] for name in PARAMETERS if is_given(request.body, name)}
    if isinstance(binding := given.get("messaging_binding"), dict):
        given["messaging_binding"] = {key: binding[key] for key in BINDING_KEYS if is_given(binding, key)}
    if given.get("identity") == request.identity and conversation.awaits(request.identity):
        given["role_sid"] = request.service.creator_role_sid
    return validated(NewParticipant, given)


def update(operations: Operations, request: ChatRequest, conversation_sid: str, sid: str) -> ChatAnswer:
    conversation, principal = enter(operations, request, conversation_sid)
    participant = _permitted(operations, request, principal, conversation, sid, Action.EDIT_PARTICIPANT_ATTRIBUTES)
    updated = operations.participants.update(
        request.account,
        request.service,
        conversation.sid,
        participant.sid,
        parse(ParticipantChange, request.body, ("attributes",)),
        request_webhooks=checked_webhooks(operations, request, conversation, principal),
    )
    return ChatAnswer(HTTPStatus.OK, represent(request, updated))


def delete(operations: Operations, request: ChatRequest, conversation_sid: str, sid: str) -> ChatAnswer:
    """Remove a participant. If the participant belongs to the user, the user leaves the conversation."""
    conversation, principal = enter(operations, request, conversation_sid)
    participant = _permitted(operations, request, principal, conversation, sid, Action.REMOVE_PARTICIPANT)
    operations.participants.delete(
        request.service,
        conversation.sid,
        participant.sid,
        request_webhooks=checked_webhooks(operations, request, conversation, principal),
    )
    return ChatAnswer(HTTPStatus.NO_CONTENT)


def _permitted(
    operations: Operations,
    request: ChatRequest,
    principal: Principal,
    conversation: Conversation,
    sid: str,
    action: Action,
) -> Participant:
    """Return a participant. Raise an error if the participant does not exist or the user may not perform `action`.

    `sid` is the SID or the identity of the participant.
    """
    # Before the participant is fetched, check that the user may perform the action at least on its own participant. A
    # user without any permission must not learn who participates.
    principal.check(action, own=True)
    participant = operations.participants.fetch(request.service, conversation.sid, sid)
    principal.check(action, own=participant.identity == request.identity)
    return participant
