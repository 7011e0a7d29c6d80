"""List the conversations of an identity or an address."""

from __future__ import annotations

from convoke.domain.pages import Page, PageRequest
from convoke.domain.participant_conversations import ParticipantConversation, ParticipantConversationFilters
from convoke.domain.services import Service
from convoke.lean_dataclass import lean_dataclass
from convoke.storage.participant_conversations import ParticipantConversationRepository


@lean_dataclass
class ParticipantConversationOperations:
    participant_conversations: ParticipantConversationRepository

    def list(
        self, service: Service, filters: ParticipantConversationFilters, page: PageRequest
    ) -> Page[ParticipantConversation]:
        return self.participant_conversations.list(service.account_sid, service.sid, filters.known_by, page)
