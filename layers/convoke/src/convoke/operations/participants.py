"""The Participant resource: fetch and list."""

from __future__ import annotations

from dataclasses import dataclass

from convoke.domain.errors import NotFoundError
from convoke.domain.pages import Page, PageRequest
from convoke.domain.participants import Participant
from convoke.domain.services import Service
from convoke.domain.sids import Prefix, parse_sid
from convoke.operations.conversations import ConversationOperations
from convoke.operations.ports import ParticipantRepository


@dataclass(frozen=True, slots=True)
class ParticipantOperations:
    conversations: ConversationOperations
    participants: ParticipantRepository

    def fetch(self, service: Service, conversation_sid: str, sid: str) -> Participant:
        """Raises NotFoundError for the conversation as for the participant."""
        conversation = self.conversations.fetch(service, conversation_sid)
        known = parse_sid(sid, Prefix.PARTICIPANT)
        participant = known and self.participants.fetch(service.account_sid, conversation.sid, known)
        if not participant:
            raise NotFoundError
        return participant

    def list(self, service: Service, conversation_sid: str, page: PageRequest) -> Page[Participant]:
        conversation = self.conversations.fetch(service, conversation_sid)
        return self.participants.list(service.account_sid, conversation.sid, page)
