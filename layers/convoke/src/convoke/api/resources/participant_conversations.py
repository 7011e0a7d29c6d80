"""`/ParticipantConversations`: the conversations of one identity or address.

See docs/behaviour/participant-conversations.md.
"""

from __future__ import annotations

from typing import Literal

from convoke.api.contracts import Contract
from convoke.api.operations import Operations
from convoke.api.pagination import MAX_SMALL_PAGE_SIZE, Pagination
from convoke.api.parameters import FORM_NAMES, parse_query
from convoke.api.representations import Representation, RestDate, json_response
from convoke.api.requests import ServiceRequest
from convoke.api.resources.conversations import timers
from convoke.api.responses import Response
from convoke.domain.conversations import State
from convoke.domain.participant_conversations import ParticipantConversation, ParticipantConversationFilters
from convoke.domain.participants import MessagingBinding


class ListParticipantConversations(ParticipantConversationFilters):
    model_config = FORM_NAMES


CREATED_BY_ACCOUNT = "system"
"""The value of `conversation_created_by` if the account, or a message from a phone, created the conversation.

If a chat user created the conversation, the value is the identity of the chat user.

See docs/behaviour/participant-conversations.md#fields.
"""


class ParticipantConversationRepresentation(Representation):
    account_sid: str
    chat_service_sid: str
    participant_sid: str
    participant_user_sid: str | None
    participant_identity: str | None
    participant_messaging_binding: MessagingBinding | None
    """The binding, including the keys without a value. The Participant resource omits the keys without a value."""
    conversation_sid: str
    conversation_unique_name: str | None
    conversation_friendly_name: str | None
    conversation_attributes: str
    conversation_date_created: RestDate
    conversation_date_updated: RestDate
    conversation_created_by: str
    conversation_state: Literal[State.ACTIVE, State.INACTIVE, State.CLOSED]
    conversation_timers: dict[str, str]
    links: dict[str, str]


LIST = Contract(
    "ParticipantConversations",
    ParticipantConversationRepresentation,
    page="conversations",
    max_page_size=MAX_SMALL_PAGE_SIZE,
    query=ListParticipantConversations,
)


def represent(request: ServiceRequest, membership: ParticipantConversation) -> Representation:
    participant, conversation = membership.participant, membership.conversation
    url = request.url(f"/Conversations/{conversation.sid}")
    return ParticipantConversationRepresentation(
        account_sid=conversation.account_sid,
        chat_service_sid=conversation.chat_service_sid,
        participant_sid=participant.sid,
        participant_user_sid=membership.user_sid,
        participant_identity=participant.identity,
        participant_messaging_binding=participant.messaging_binding,
        conversation_sid=conversation.sid,
        conversation_unique_name=conversation.unique_name,
        conversation_friendly_name=conversation.friendly_name,
        conversation_attributes=conversation.attributes,
        conversation_date_created=conversation.date_created,
        conversation_date_updated=conversation.date_updated,
        conversation_created_by=conversation.created_by or CREATED_BY_ACCOUNT,
        conversation_state=conversation.state,
        conversation_timers=timers(conversation),
        links={"participant": f"{url}/Participants/{participant.sid}", "conversation": url},
    )


def list_(operations: Operations, request: ServiceRequest) -> Response:
    filters, sent = parse_query(ListParticipantConversations, request.query_form)
    pagination = Pagination(
        request,
        request.url("/ParticipantConversations"),
        "conversations",
        operations.accounts.page_key(request.account.sid),
        max_page_size=MAX_SMALL_PAGE_SIZE,
        filters=sent,
    )
    page = operations.participant_conversations.list(request.service, filters, pagination.page_request)
    return json_response(
        pagination.body(page, lambda each: represent(request, each), lambda each: each.participant.sid)
    )
