"""Handle the call with which a client reports that its user is typing. The call stores nothing."""

from __future__ import annotations

from http import HTTPStatus

from convoke.api.chat.acting import enter
from convoke.api.chat.requests import ChatAnswer, ChatRequest
from convoke.api.chat.routes import ChatRoute
from convoke.api.operations import Operations
from convoke.domain.errors import InvalidParameterError, NotFoundError
from convoke.embedded.chat.hub import Hub
from convoke.embedded.chat.limits import TYPING_TIMEOUT_SECONDS

PARAMETER = "ChannelSid"


def typing_route(hub: Hub) -> ChatRoute:
    def create(operations: Operations, request: ChatRequest, chat_service_sid: str) -> ChatAnswer:
        """Tell the chat clients of the other Users that a User is typing.

        Raise a ConversationsError if the request is refused, for example NotAParticipantError if the typing User is not
        a member of the conversation.
        """
        if chat_service_sid != request.service.sid:
            raise NotFoundError
        conversation_sid = request.body.get(PARAMETER)
        if not isinstance(conversation_sid, str):
            raise InvalidParameterError(parameter=PARAMETER, wanted="the SID of a conversation")
        conversation, principal = enter(operations, request, conversation_sid)
        principal.check_participates()
        hub.typing(conversation.sid, request.identity, request.user_sid)
        return ChatAnswer(HTTPStatus.OK, {"typing_timeout": TYPING_TIMEOUT_SECONDS})

    return ChatRoute("POST", "/v1/Instances/<chat_service_sid>/Typing", create)
