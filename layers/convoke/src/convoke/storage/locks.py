"""Locks: items whose being there keeps another conversation from taking the same name, pair or numbers (promise 2)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from convoke.domain.conversations import Conversation, State
from convoke.domain.errors import BindingsTakenError, ConversationsError, GroupExistsError, UniqueNameTakenError
from convoke.domain.provisioning import Provisioning, ProvisioningStatus
from convoke.storage import keys
from convoke.storage.table import Delete, Equals, Item, Key, NotExists, Or, Put


@dataclass(frozen=True, slots=True)
class Lock:
    """A key to take, and the error for whoever comes second, made from the SID of the conversation that holds it."""

    key: Key
    taken: Callable[[str], ConversationsError]

    def acquire(self, conversation_sid: str) -> Put:
        return Put({"pk": self.key.pk, "sk": self.key.sk, "conversation_sid": conversation_sid}, NotExists("pk"))

    def release(self, conversation_sid: str) -> Delete:
        """Never that of another conversation, whatever became of this one since it was read."""
        return Delete(self.key, Or((NotExists("pk"), Equals("conversation_sid", conversation_sid))))


def locks_of(conversation: Conversation, provisioning: Provisioning | None) -> list[Lock]:
    """Every lock that a conversation needs, in the order in which they are reported (reference, b.7 step 7)."""
    return [*_name_locks(conversation), *(_binding_locks(provisioning) if provisioning else ())]


def locks_held(conversation: Conversation, provisioning: Provisioning | None) -> dict[Key, Lock]:
    """Those that a conversation holds in its state. Closed, it has its name still (reference, e.2).

    One whose members could not be added has none, and another may hold what it had.
    """
    if conversation.date_removed or (provisioning and provisioning.status is ProvisioningStatus.FAILED):
        return {}
    open_ = conversation.state is not State.CLOSED
    return {lock.key: lock for lock in locks_of(conversation, provisioning if open_ else None)}


def holder(lock_item: Item) -> str:
    """The SID of the conversation that holds a lock."""
    return str(lock_item["conversation_sid"])


def _name_locks(conversation: Conversation) -> list[Lock]:
    if conversation.unique_name is None:
        return []
    key = keys.unique_name_lock(conversation.account_sid, conversation.chat_service_sid, conversation.unique_name)
    return [Lock(key, lambda sid: UniqueNameTakenError(parameter="UniqueName", conflicting_conversation_sid=sid))]


def _binding_locks(provisioning: Provisioning) -> list[Lock]:
    account_sid = provisioning.account_sid
    pairs = [participant.pair for participant in provisioning.participants]
    made = [
        Lock(keys.pair_lock(account_sid, *pair), _pair_taken(position)) for position, pair in enumerate(pairs) if pair
    ]
    if provisioning.number_group:
        made.append(Lock(keys.number_group_lock(account_sid, provisioning.number_group), _group_exists))
    return made


def _pair_taken(position: int) -> Callable[[str], ConversationsError]:
    def error(sid: str) -> ConversationsError:
        return BindingsTakenError(
            parameter=f"Participant[{position}].messaging_binding",
            where=f"Conversation {sid}",
            conflicting_conversation_sid=sid,
        )

    return error


def _group_exists(sid: str) -> ConversationsError:
    return GroupExistsError(parameter="Participant", conflicting_conversation_sid=sid)
