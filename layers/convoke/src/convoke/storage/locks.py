"""Locks are items that keep unique names, pairs of addresses, sets of numbers and identities unique.

The key of a lock contains the unique value or its hash. The transaction that stores the value also stores the lock. The
transaction fails if an item with this key exists. Locks are necessary because the only unique constraint of DynamoDB is
the primary key.

domain/groups.py determines which groups have the same set of numbers. The modules `address_configurations` and
`senders` have locks of their own. See docs/behaviour/limits.md#uniqueness and docs/how-it-works.md#promises.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

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
from convoke.lean_dataclass import lean_dataclass
from convoke.storage import keys
from convoke.storage.table import Delete, Equals, Item, Key, NotExists, Or, Put, TransactionCanceledError


@lean_dataclass
class Lock:
    """The key of a lock, and the error for a request that cannot acquire the lock."""

    key: Key
    make_error: Callable[[str], ConversationsError]
    """A function that returns the error. The argument is the SID of the conversation that holds the lock."""
    participant_sid: str | None = None
    """The SID of the participant if this is the lock on an identity. None for any other lock."""

    def acquire(self, conversation_sid: str) -> Put:
        return Put(self.item(conversation_sid), NotExists("pk"))

    def release(self, conversation_sid: str) -> Delete:
        """Return the write that deletes the lock.

        The write does nothing if the lock does not exist. The write fails if another conversation holds the lock. This
        happens only if this conversation has already released the lock.
        """
        return Delete(self.key, Or((NotExists("pk"), Equals("conversation_sid", conversation_sid))))

    def item(self, conversation_sid: str) -> Item:
        item: Item = {"pk": self.key.pk, "sk": self.key.sk, "conversation_sid": conversation_sid}
        return item if self.participant_sid is None else item | {"participant_sid": self.participant_sid}


def initial_locks(conversation: Conversation, provisioning: Provisioning | None) -> list[Lock]:
    """Return the locks of a new conversation, in the order in which collisions are reported.

    The locks on identities are not included, because Convoke stores them later, together with the participants. See
    docs/behaviour/conversation-with-participants.md#collisions.
    """
    pairs = [participant.pair for participant in provisioning.participants] if provisioning else []
    pair_locks = [
        Lock(keys.pair_lock(conversation.account_sid, *pair), _requested_pair_error(position))
        for position, pair in enumerate(pairs)
        if pair
    ]
    return [*_name_locks(conversation), *pair_locks, *_group_locks(conversation, PARTICIPANTS)]


def locks_held(conversation: Conversation) -> dict[Key, Lock]:
    """Return the locks that a conversation holds in its current state, without the locks on identities.

    See `identity_locks` for the locks on identities. A closed conversation holds only the lock on its unique name. A
    deleted conversation holds no lock. See docs/behaviour/states-and-timers.md#closing.

    Do not call this function with a conversation that was closed because its participants could not be added. Such a
    conversation has released all its locks, and other conversations may hold these locks.
    """
    if conversation.date_removed:
        return {}
    held = _name_locks(conversation)
    if conversation.state is not State.CLOSED:
        held += [*_pair_locks(conversation), *_group_locks(conversation, BINDING_FIELD)]
    return {lock.key: lock for lock in held}


def identity_locks(participant: Participant | None) -> dict[Key, Lock]:
    """Return the lock on a participant's identity. Without a participant or without an identity, the dict is empty.

    The lock ensures that no two participants of a conversation have the same identity. The item of the lock also
    contains the participant SID, so that Convoke can find the participant with a given identity.
    """
    if participant is None or participant.identity is None:
        return {}
    key = keys.identity_lock(participant.account_sid, participant.conversation_sid, participant.identity)
    return {key: Lock(key, lambda _: ParticipantExistsError(field=IDENTITY_FIELD), participant.sid)}


def holder_sid(lock_item: Item) -> str:
    """Return the SID of the conversation that holds a lock."""
    return str(lock_item["conversation_sid"])


def collision_error(locks: Sequence[Lock], canceled: TransactionCanceledError, *, first: int) -> Exception:
    """Return the error for those of `locks` that could not be acquired, because the items of the locks exist.

    `first` is the position of the first lock in the transaction. If none of the locks exists, return `canceled`. The
    transaction then failed because an item with a new SID already exists. This is practically impossible, because SIDs
    have a random part.
    """
    existing = [(lock, canceled.failed.get(position)) for position, lock in enumerate(locks, first)]
    errors = [lock.make_error(holder_sid(item)) for lock, item in existing if item]
    return refusal(errors) if errors else canceled


def _name_locks(conversation: Conversation) -> list[Lock]:
    if conversation.unique_name is None:
        return []
    key = keys.unique_name_lock(conversation.account_sid, conversation.chat_service_sid, conversation.unique_name)
    return [Lock(key, lambda sid: UniqueNameTakenError(field="unique_name", conflicting_conversation_sid=sid))]


def _pair_locks(conversation: Conversation) -> list[Lock]:
    pairs = [participant.pair for participant in conversation.bound]
    return [Lock(keys.pair_lock(conversation.account_sid, *pair), _pair_error) for pair in pairs if pair]


def _group_locks(conversation: Conversation, field: str) -> list[Lock]:
    def error(sid: str) -> ConversationsError:
        return GroupExistsError(field=field, conflicting_conversation_sid=sid)

    numbers = conversation.number_group
    return [Lock(keys.number_group_lock(conversation.account_sid, numbers), error)] if numbers else []


def _pair_error(sid: str) -> ConversationsError:
    return BindingTakenError(field=BINDING_FIELD, conflicting_conversation_sid=sid)


def _requested_pair_error(position: int) -> Callable[[str], ConversationsError]:
    def error(sid: str) -> ConversationsError:
        return BindingsTakenError(
            field=(PARTICIPANTS, position, "messaging_binding"),
            where=f"Conversation {sid}",
            conflicting_conversation_sid=sid,
        )

    return error
