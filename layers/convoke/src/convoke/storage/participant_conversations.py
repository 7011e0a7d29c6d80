"""List the conversations of an identity or an address.

The method `participant_keys` yields only the keys of the participants with this identity or address.

To build a page of conversations, this module queries the index `memberships`. For each entry, the module then reads the
item of the participant and the item of the conversation. The items are read with strong consistency, so a page shows no
removed participant and no deleted conversation. On DynamoDB, the index is eventually consistent, so a page may lack a
participant that was added some milliseconds ago. See docs/behaviour/participant-conversations.md#what-is-listed.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from convoke.domain.conversations import Conversation
from convoke.domain.pages import Page, PageRequest
from convoke.domain.participant_conversations import ParticipantConversation
from convoke.domain.participants import KnownBy, Participant
from convoke.lean_dataclass import lean_dataclass
from convoke.storage import items, keys
from convoke.storage.paging import page_of_entries
from convoke.storage.table import Item, Key, Table, key_of

MEMBERSHIPS_PAGE_SIZE = 100
"""The maximum number of entries that one query for the keys of participants returns."""


@lean_dataclass
class ParticipantConversationRepository:
    table: Table

    def list(
        self, account_sid: str, chat_service_sid: str, known_by: KnownBy, page: PageRequest
    ) -> Page[ParticipantConversation]:
        """Return a page of the conversations of an identity or an address, ordered by conversation SID.

        The page leaves out `initializing` conversations and outdated entries of the index. Therefore the page can have
        fewer resources than requested although the list continues.
        """
        partition = keys.membership_partition(account_sid, chat_service_sid, *known_by)
        found = self.table.query(
            partition,
            index=keys.MEMBERSHIPS,
            after=_start_key(account_sid, page.position) if page.position else None,
            forward=page.forward,
            limit=page.size + 1,
        )
        participant_keys = [key_of(entry) for entry in found[: page.size]]
        positions = [keys.membership_position(key) for key in participant_keys]
        end = positions[-1] if len(found) > page.size else None
        return page_of_entries([*self._fetch(participant_keys)], positions, end, page)

    def participant_keys(self, account_sid: str, chat_service_sid: str, known_by: KnownBy) -> Iterator[Key]:
        """Yield the keys of all participants with an identity or an address. The index is eventually consistent.

        Each page is queried only when the iteration reaches the page.
        """
        partition, after = keys.membership_partition(account_sid, chat_service_sid, *known_by), None
        while page := self.table.query(partition, index=keys.MEMBERSHIPS, after=after, limit=MEMBERSHIPS_PAGE_SIZE):
            yield from map(key_of, page)
            after = page[-1]

    def _fetch(self, participant_keys: Sequence[Key]) -> Iterator[tuple[str, ParticipantConversation]]:
        """Yield each resource with its position in the list.

        Skip deleted participants, and conversations that are deleted or `initializing`.
        """
        if not participant_keys:
            return
        conversation_keys = {key: keys.conversation(*keys.sids_of_conversation(key)) for key in participant_keys}
        found = self.table.get_many([*participant_keys, *conversation_keys.values()])
        for participant_key, conversation_key in conversation_keys.items():
            if {conversation_key, participant_key} <= found.keys():
                resource = _to_resource(found[conversation_key], found[participant_key])
                if resource.is_shown:
                    yield keys.membership_position(participant_key), resource


def _start_key(account_sid: str, position: str) -> Item:
    """Return the key attributes of the participant at `position`, for the parameter `after` of a query."""
    participant = keys.participant(account_sid, *keys.sids_of_membership(position))
    return {"pk": participant.pk, "sk": participant.sk}


def _to_resource(conversation: Item, participant: Item) -> ParticipantConversation:
    return ParticipantConversation(
        items.to_resource(Conversation, conversation), items.to_resource(Participant, participant)
    )
