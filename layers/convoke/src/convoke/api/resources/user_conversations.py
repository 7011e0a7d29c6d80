"""`/Users/{sid}/Conversations`: the conversations of a User.

See docs/behaviour/user-conversations.md.
"""

from __future__ import annotations

from typing import Literal
from urllib.parse import quote

from convoke.api.contracts import CHANGE_REFUSED, Contract
from convoke.api.operations import Operations
from convoke.api.pagination import MAX_SMALL_PAGE_SIZE, Pagination
from convoke.api.parameters import FORM_NAMES, parse
from convoke.api.representations import Representation, RestDate, json_response, no_content
from convoke.api.requests import WEBHOOK_ENABLED, ServiceRequest
from convoke.api.resources.conversations import timers
from convoke.api.resources.participant_conversations import CREATED_BY_ACCOUNT
from convoke.api.responses import Response
from convoke.domain import errors
from convoke.domain.conversations import State
from convoke.domain.participant_conversations import ParticipantConversation
from convoke.domain.participants import NotificationLevel
from convoke.domain.user_conversations import UserConversationChange, unread_messages


class UpdateUserConversation(UserConversationChange):
    model_config = FORM_NAMES


class UserConversationRepresentation(Representation):
    account_sid: str
    chat_service_sid: str
    conversation_sid: str
    unread_messages_count: int | None
    last_read_message_index: int | None
    participant_sid: str
    user_sid: str | None
    friendly_name: str | None
    conversation_state: Literal[State.ACTIVE, State.INACTIVE, State.CLOSED]
    timers: dict[str, str]
    attributes: str
    date_created: RestDate
    date_updated: RestDate
    created_by: str
    notification_level: NotificationLevel
    unique_name: str | None
    url: str
    links: dict[str, str]


LIST = Contract(
    "UserConversations",
    UserConversationRepresentation,
    page="conversations",
    max_page_size=MAX_SMALL_PAGE_SIZE,
)
FETCH = Contract("UserConversation", UserConversationRepresentation)
UPDATE = Contract(
    "UserConversation",
    UserConversationRepresentation,
    form=UpdateUserConversation,
    request_headers=(WEBHOOK_ENABLED,),
    errors=CHANGE_REFUSED,
)
DELETE = Contract(
    "UserConversation",
    None,
    statuses=(204,),
    request_headers=(WEBHOOK_ENABLED,),
    errors=(*CHANGE_REFUSED, errors.GroupExistsError),
)


def represent(request: ServiceRequest, membership: ParticipantConversation) -> UserConversationRepresentation:
    participant, conversation = membership.participant, membership.conversation
    url = request.url(f"/Conversations/{conversation.sid}")
    return UserConversationRepresentation(
        account_sid=conversation.account_sid,
        chat_service_sid=conversation.chat_service_sid,
        conversation_sid=conversation.sid,
        unread_messages_count=unread_messages(conversation, participant),
        last_read_message_index=participant.last_read_message_index,
        participant_sid=participant.sid,
        user_sid=membership.user_sid,
        friendly_name=conversation.friendly_name,
        conversation_state=conversation.state,
        timers=timers(conversation),
        attributes=conversation.attributes,
        date_created=conversation.date_created,
        date_updated=conversation.date_updated,
        created_by=conversation.created_by or CREATED_BY_ACCOUNT,
        notification_level=participant.notification_level or NotificationLevel.DEFAULT,
        unique_name=conversation.unique_name,
        url=request.url(f"/Users/{membership.user_sid}/Conversations/{conversation.sid}"),
        links={"participant": f"{url}/Participants/{participant.sid}", "conversation": url},
    )


def list_(operations: Operations, request: ServiceRequest, user_sid: str) -> Response:
    url = request.url(f"/Users/{quote(user_sid, safe='')}/Conversations")
    key = operations.accounts.page_key(request.account.sid)
    pagination = Pagination(request, url, "conversations", key, max_page_size=MAX_SMALL_PAGE_SIZE)
    page = operations.user_conversations.list(request.service, user_sid, pagination.page_request)
    return json_response(
        pagination.body(page, lambda each: represent(request, each), lambda each: each.participant.sid)
    )


def fetch(operations: Operations, request: ServiceRequest, user_sid: str, conversation_sid: str) -> Response:
    found = operations.user_conversations.fetch(request.service, user_sid, conversation_sid)
    return json_response(represent(request, found))


def update(operations: Operations, request: ServiceRequest, user_sid: str, conversation_sid: str) -> Response:
    # Parse the header before the form. If both are invalid, the response must report the error in the header.
    request_webhooks, requested = operations.request_webhooks(request), parse(UpdateUserConversation, request.form)
    updated = operations.user_conversations.update(
        request.service, user_sid, conversation_sid, requested, request_webhooks=request_webhooks
    )
    return json_response(represent(request, updated))


def delete(operations: Operations, request: ServiceRequest, user_sid: str, conversation_sid: str) -> Response:
    request_webhooks = operations.request_webhooks(request)
    operations.user_conversations.delete(request.service, user_sid, conversation_sid, request_webhooks=request_webhooks)
    return no_content()
