"""Conversations (reference, a.1)."""

from __future__ import annotations

from aws_lambda_powertools.event_handler import Response

from convoke.api.operations import Operations
from convoke.api.representations import Representation, RestDate, answer
from convoke.api.requests import ServiceRequest
from convoke.domain.conversations import Conversation, EmailBinding, State
from convoke.domain.instants import to_seconds


class ConversationRepresentation(Representation):
    sid: str
    account_sid: str
    chat_service_sid: str
    messaging_service_sid: str | None
    friendly_name: str | None
    unique_name: str | None
    attributes: str
    date_created: RestDate
    date_updated: RestDate
    state: State
    timers: dict[str, str]
    bindings: dict[str, EmailBinding]
    url: str
    links: dict[str, str]


def represent(
    request: ServiceRequest, conversation: Conversation, links: tuple[str, ...]
) -> ConversationRepresentation:
    """`links` are the last parts of the paths linked to, such as `Participants`."""
    url = request.url(f"/Conversations/{conversation.sid}")
    return ConversationRepresentation(
        sid=conversation.sid,
        account_sid=conversation.account_sid,
        chat_service_sid=conversation.chat_service_sid,
        messaging_service_sid=conversation.messaging_service_sid,
        friendly_name=conversation.friendly_name,
        unique_name=conversation.unique_name,
        attributes=conversation.attributes,
        date_created=conversation.date_created,
        date_updated=conversation.date_updated,
        state=conversation.state,
        timers=_timers(conversation),
        bindings={"email": conversation.email} if conversation.email else {},
        url=url,
        links={link.lower(): f"{url}/{link}" for link in links},
    )


def fetch(operations: Operations, request: ServiceRequest, sid: str) -> Response[str]:
    conversation = operations.conversations.fetch(request.service, sid)
    return answer(represent(request, conversation, ("Participants", "Messages", "Webhooks", "Export")))


def _timers(conversation: Conversation) -> dict[str, str]:
    """Only the timers that are on (reference, e.3)."""
    ends = {"date_inactive": conversation.date_inactive, "date_closed": conversation.date_closed}
    return {name: to_seconds(end) for name, end in ends.items() if end}
