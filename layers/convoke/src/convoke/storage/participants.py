"""Participants, and the items by which they are found by their identity."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from convoke.domain.conversations import Conversation
from convoke.domain.events import Change
from convoke.domain.memberships import MAX_PARTICIPANTS
from convoke.domain.pages import Page, PageRequest
from convoke.domain.participants import Participant
from convoke.storage import items, keys
from convoke.storage.locks import identity_locks, locks_held
from convoke.storage.paging import page_of
from convoke.storage.revisions import differences, gained, releases, revise
from convoke.storage.table import Delete, Key, Put, Table, Write


@dataclass(frozen=True, slots=True)
class ParticipantRepository:
    table: Table

    def fetch(self, account_sid: str, conversation_sid: str, participant_sid: str) -> Participant | None:
        stored = self.table.get(keys.participant(account_sid, conversation_sid, participant_sid))
        return items.resource(Participant, stored) if stored else None

    def sid_of(self, account_sid: str, conversation_sid: str, identity: str) -> str | None:
        lock = self.table.get(keys.identity_lock(account_sid, conversation_sid, identity))
        return str(lock["participant_sid"]) if lock else None

    def list(self, account_sid: str, conversation_sid: str, page: PageRequest) -> Page[Participant]:
        partition = keys.conversation(account_sid, conversation_sid).pk
        position = keys.participant(account_sid, conversation_sid, page.position) if page.position else None
        return page_of(Participant, self.table, partition, keys.participants(), page, position)

    def every(self, account_sid: str, conversation_sid: str) -> Sequence[Participant]:
        """All members, the oldest first."""
        partition, between = keys.conversation(account_sid, conversation_sid).pk, keys.participants()
        found = self.table.query(partition, between=between, limit=MAX_PARTICIPANTS, consistent=True)
        return [items.resource(Participant, stored) for stored in found]

    def create(self, before: Conversation, after: Conversation, participant: Participant, change: Change) -> None:
        self._change(before, after, None, participant, change)

    def update(
        self, before: Conversation, after: Conversation, was: Participant, becomes: Participant, change: Change
    ) -> None:
        self._change(before, after, was, becomes, change)

    def delete(self, before: Conversation, after: Conversation, participant: Participant, change: Change) -> None:
        self._change(before, after, participant, None, change)

    def _change(
        self,
        before: Conversation,
        after: Conversation,
        was: Participant | None,
        becomes: Participant | None,
        change: Change,
    ) -> None:
        held, wanted = identity_locks(was) | locks_held(before), identity_locks(becomes) | locks_held(after)
        written: list[Write] = [*releases(held, wanted, before.sid)]
        if becomes:
            written.append(Put(items.participant_item(becomes, before.chat_service_sid)))
        elif was:
            written.append(Delete(_key(was)))
        revise(
            self.table,
            before,
            differences(before, after),
            change,
            acquired=gained(held, wanted),
            beside=written,
        )


def _key(participant: Participant) -> Key:
    return keys.participant(participant.account_sid, participant.conversation_sid, participant.sid)
