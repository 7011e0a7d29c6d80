"""Participants."""

from __future__ import annotations

from dataclasses import dataclass

from convoke.domain.pages import Page, PageRequest
from convoke.domain.participants import Participant
from convoke.storage import items, keys
from convoke.storage.paging import page_of
from convoke.storage.table import Table


@dataclass(frozen=True, slots=True)
class ParticipantTable:
    table: Table

    def fetch(self, account_sid: str, conversation_sid: str, participant_sid: str) -> Participant | None:
        stored = self.table.get(keys.participant(account_sid, conversation_sid, participant_sid))
        return items.resource(Participant, stored) if stored else None

    def list(self, account_sid: str, conversation_sid: str, page: PageRequest) -> Page[Participant]:
        partition = keys.conversation(account_sid, conversation_sid).pk
        position = keys.participant(account_sid, conversation_sid, page.position) if page.position else None
        return page_of(Participant, self.table, partition, keys.participants(), page, position)
