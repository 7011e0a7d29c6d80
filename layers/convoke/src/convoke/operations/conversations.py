"""The Conversation resource: fetch."""

from __future__ import annotations

from dataclasses import dataclass

from convoke.domain.conversations import LONGEST_NAME, Conversation
from convoke.domain.errors import NotFoundError
from convoke.domain.services import Service
from convoke.domain.sids import Prefix, parse_sid
from convoke.operations.ports import ConversationRepository


@dataclass(frozen=True, slots=True)
class ConversationOperations:
    conversations: ConversationRepository

    def fetch(self, service: Service, sid: str) -> Conversation:
        """By SID or unique name. Raises NotFoundError, also for one of another service (reference, a.0)."""
        found = self._find(service, sid)
        if found is None or found.chat_service_sid != service.sid:
            raise NotFoundError
        return found

    def _find(self, service: Service, sid: str) -> Conversation | None:
        if known := parse_sid(sid, Prefix.CONVERSATION):
            return self.conversations.fetch(service.account_sid, known)
        if len(sid) > LONGEST_NAME:
            return None
        return self.conversations.fetch_by_unique_name(service.account_sid, service.sid, sid)
