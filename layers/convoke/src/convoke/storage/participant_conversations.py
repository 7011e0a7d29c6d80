"""One page of what somebody is a member of: a query of the index `memberships`, and one read of the items.

Members and conversations are read from their items, consistently: nobody who has been taken out shows, and nothing
that is deleted. What the index still lacks, for some milliseconds on AWS, is who was added just now.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from convoke.domain.conversations import Conversation
from convoke.domain.pages import Page, PageRequest
from convoke.domain.participant_conversations import ParticipantConversation
from convoke.domain.participants import KnownBy, Participant
from convoke.storage import items, keys
from convoke.storage.paging import page_between
from convoke.storage.table import Item, Key, Table, key_of


@dataclass(frozen=True, slots=True)
class ParticipantConversationRepository:
    table: Table

    def list(
        self, account_sid: str, chat_service_sid: str, known_by: KnownBy, page: PageRequest
    ) -> Page[ParticipantConversation]:
        """What somebody is a member of in a service, by the moment of the member's making.

        A page is short where what the index still has is gone; the list goes on behind it.
        """
        partition = keys.memberships_of(account_sid, chat_service_sid, *known_by)
        found = self.table.query(
            partition,
            index=keys.MEMBERSHIPS,
            after=_neighbour(account_sid, page.position) if page.position else None,
            forward=page.forward,
            limit=page.size + 1,
        )
        members = [key_of(entry) for entry in found[: page.size]]
        positions = [keys.membership_position(member) for member in members]
        end = positions[-1] if len(found) > page.size else None
        return page_between([*self._shown(members)], positions, end, page)

    def _shown(self, members: Sequence[Key]) -> Sequence[ParticipantConversation]:
        if not members:
            return []
        conversations = {member: keys.conversation(*keys.sids_of_conversation(member)) for member in members}
        found = self.table.get_many([*members, *conversations.values()])
        there = [(found[own], found[member]) for member, own in conversations.items() if {own, member} <= found.keys()]
        return [each for each in (_resource(*pair) for pair in there) if each.is_shown]


def _neighbour(account_sid: str, position: str) -> Item:
    """The attributes, as far as a query looks at them, of the member at `position`."""
    member = keys.participant(account_sid, *keys.sids_of_membership(position))
    return {"pk": member.pk, "sk": member.sk}


def _resource(conversation: Item, participant: Item) -> ParticipantConversation:
    return ParticipantConversation(items.resource(Conversation, conversation), items.resource(Participant, participant))
