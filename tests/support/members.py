"""Write many participants to the table directly, because many requests would be too slow."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from convoke.domain.sids import Prefix, SidFactory
from convoke.storage import items, keys
from convoke.storage.first_sights import FirstSights
from convoke.storage.participants import ParticipantRepository
from convoke.storage.table import MAX_WRITES, Put, Set, Table, Update


def add_members(table: Table, conversation: Mapping[str, Any], until: int) -> None:
    """Store copies of the conversation's first participant until the conversation has `until` participants.

    `conversation` is the body of an API response. Each copy has its own identity, but no lock on this identity.
    """
    account_sid, sid = conversation["account_sid"], conversation["sid"]
    standing = ParticipantRepository(table, FirstSights(table)).every(account_sid, sid)
    new_sid = SidFactory()
    copies = [
        standing[0].model_copy(update={"sid": new_sid(Prefix.PARTICIPANT), "identity": f"copy {number}"})
        for number in range(len(standing), until)
    ]
    for first in range(0, len(copies), MAX_WRITES):
        some = copies[first : first + MAX_WRITES]
        table.transact([Put(items.participant_item(each, conversation["chat_service_sid"])) for each in some])
    table.update(Update(keys.conversation(account_sid, sid), (Set("members", until),)))
