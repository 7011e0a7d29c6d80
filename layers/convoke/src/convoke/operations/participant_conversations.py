"""List the conversations of an identity or an address."""

from __future__ import annotations

from dataclasses import dataclass

from convoke.domain.pages import Page, PageRequest
from convoke.domain.participant_conversations import ParticipantConversation, ParticipantConversationFilters
from convoke.domain.services import Service
from convoke.storage.participant_conversations import ParticipantConversationRepository


@dataclass(frozen=True, slots=True)
class ParticipantConversationOperations:
    participant_conversations: ParticipantConversationRepository

    def list(
        self, service: Service, filters: ParticipantConversationFilters, page: PageRequest
    ) -> Page[ParticipantConversation]:
        return self.participant_conversations.list(service.account_sid, service.sid, filters.known_by, page)
