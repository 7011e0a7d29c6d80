"""Locks: items whose being there keeps others from taking the same name, pair, numbers or identity (promise 2)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from convoke.domain.conversation_with_participants import PARTICIPANTS
from convoke.domain.conversations import Conversation, State
from convoke.domain.errors import (
    BindingsTakenError,
    BindingTakenError,
    ConversationsError,
    GroupExistsError,
    ParticipantExistsError,
    UniqueNameTakenError,
    refusal,
)
from convoke.domain.memberships import BINDING_FIELD, IDENTITY_FIELD
from convoke.domain.participants import Participant
from convoke.domain.provisioning import Provisioning
from convoke.storage import keys
from convoke.storage.table import Delete, Equals, Item, Key, NotExists, Or, Put, TransactionCanceledError


@dataclass(frozen=True, slots=True)
class Lock:
    """A key to take, and the error for whoever comes second, made from the SID of the conversation that holds it."""

    key: Key
    taken: Callable[[str], ConversationsError]
    participant_sid: str | None = None
    """Whom the lock of an identity leads to."""

    def acquire(self, conversation_sid: str) -> Put:
        return Put(self.item(conversation_sid), NotExists("pk"))

    def release(self, conversation_sid: str) -> Delete:
        """Never that of another conversation, whatever became of this one since it was read."""
        return Delete(self.key, Or((NotExists("pk"), Equals("conversation_sid", conversation_sid))))

    def item(self, conversation_sid: str) -> Item:
        item: Item = {"pk": self.key.pk, "sk": self.key.sk, "conversation_sid": conversation_sid}
        return item if self.participant_sid is None else item | {"participant_sid": self.participant_sid}


def locks_of_new(conversation: Conversation, provisioning: Provisioning | None) -> list[Lock]:
    """Every lock that a conversation starts with, in the order in which they are reported (reference, b.7 step 7)."""
    pairs = [member.pair for member in provisioning.participants] if provisioning else []
    made = [
        Lock(keys.pair_lock(conversation.account_sid, *pair), _pair_of_request_taken(position))
        for position, pair in enumerate(pairs)
        if pair
    ]
    return [*_name_locks(conversation), *made, *_group_locks(conversation, PARTICIPANTS)]


def locks_held(conversation: Conversation) -> dict[Key, Lock]:
    """Those that a conversation holds in its state: closed, its name still (reference, e.2); deleted, none.

    Not to be asked of one whose members could not be added: that has none, and another may hold what it had.
    """
    if conversation.date_removed:
        return {}
    held = _name_locks(conversation)
    if conversation.state is not State.CLOSED:
        held += [*_pair_locks(conversation), *_group_locks(conversation, BINDING_FIELD)]
    return {lock.key: lock for lock in held}


def identity_locks(participant: Participant | None) -> dict[Key, Lock]:
    """What keeps an identity from being in a conversation twice, and finds the member by it."""
    if participant is None or participant.identity is None:
        return {}
    key = keys.identity_lock(participant.account_sid, participant.conversation_sid, participant.identity)
    return {key: Lock(key, lambda _: ParticipantExistsError(field=IDENTITY_FIELD), participant.sid)}


def holder(lock_item: Item) -> str:
    """The SID of the conversation that holds a lock."""
    return str(lock_item["conversation_sid"])


def collision(locks: Sequence[Lock], canceled: TransactionCanceledError, *, first: int) -> Exception:
    """The error of every lock that is held, or the cancellation itself where a SID came up twice.

    `first` is the position of the first lock in the transaction.
    """
    standing = [(lock, canceled.failed.get(position)) for position, lock in enumerate(locks, first)]
    taken = [lock.taken(holder(item)) for lock, item in standing if item]
    return refusal(taken) if taken else canceled


def _name_locks(conversation: Conversation) -> list[Lock]:
    if conversation.unique_name is None:
        return []
    key = keys.unique_name_lock(conversation.account_sid, conversation.chat_service_sid, conversation.unique_name)
    return [Lock(key, lambda sid: UniqueNameTakenError(field="unique_name", conflicting_conversation_sid=sid))]


def _pair_locks(conversation: Conversation) -> list[Lock]:
    pairs = [member.pair for member in conversation.bound]
    return [Lock(keys.pair_lock(conversation.account_sid, *pair), _pair_taken) for pair in pairs if pair]


def _group_locks(conversation: Conversation, field: str) -> list[Lock]:
    def taken(sid: str) -> ConversationsError:
        return GroupExistsError(field=field, conflicting_conversation_sid=sid)

    numbers = conversation.number_group
    return [Lock(keys.number_group_lock(conversation.account_sid, numbers), taken)] if numbers else []


def _pair_taken(sid: str) -> ConversationsError:
    return BindingTakenError(field=BINDING_FIELD, conflicting_conversation_sid=sid)


def _pair_of_request_taken(position: int) -> Callable[[str], ConversationsError]:
    def error(sid: str) -> ConversationsError:
        return BindingsTakenError(
            field=(PARTICIPANTS, position, "messaging_binding"),
            where=f"Conversation {sid}",
            conflicting_conversation_sid=sid,
        )

    return error
