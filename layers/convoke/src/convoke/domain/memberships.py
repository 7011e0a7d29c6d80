"""Check whether a conversation may contain a new or changed participant.

The rules are about duplicate participants, group MMS, the messaging service, and the number of participants.

See docs/behaviour/participants.md#create and docs/behaviour/group-mms.md#rules-of-a-group.
"""

from __future__ import annotations

from collections.abc import Iterator

from convoke.domain.conversations import Conversation
from convoke.domain.errors import (
    BindingTakenError,
    ConversationsError,
    DuplicateGroupMemberError,
    GroupTooLargeError,
    MessagingServiceMissingError,
    ProjectedAddressMissingError,
    TooManyNonChatParticipantsError,
    TooManyParticipantsError,
)
from convoke.domain.groups import MAX_GROUP_PARTICIPANTS, is_group
from convoke.domain.participant_requests import PROJECTED_ADDRESS_FIELD
from convoke.domain.participants import BoundMember, Participant

MAX_PARTICIPANTS = 1000
"""The maximum number of participants of a conversation. Participants without a messaging binding count too."""

MAX_NON_CHAT_PARTICIPANTS = 50
"""The maximum number of participants with a messaging binding in a conversation."""

BINDING_FIELD = "messaging_binding"

IDENTITY_FIELD = "identity"


def membership_problems(
    before: Conversation, after: Conversation, participant: Participant
) -> Iterator[ConversationsError]:
    """Yield an error for each rule that a new or changed participant breaks, in the order of the checks.

    `participant` is the new or changed participant. `before` is the conversation without the change. `after` is the
    conversation with the change.
    """
    for member in participant.bound:
        yield from duplicate_problems(after, member)
    if after.is_formed_group:
        yield from group_problems(after, participant)
    if participant.bound and not after.messaging_service_sid:
        yield MessagingServiceMissingError(field=BINDING_FIELD)
    if after.members > before.members:
        yield from limit_problems(after, participant)


def limit_problems(conversation: Conversation, participant: Participant) -> Iterator[ConversationsError]:
    """Yield an error if there are too many participants, or too many participants with a messaging binding."""
    if conversation.members > MAX_PARTICIPANTS:
        yield TooManyParticipantsError(field=_field_of(participant))
    if participant.bound and len(conversation.bound) > MAX_NON_CHAT_PARTICIPANTS:
        yield TooManyNonChatParticipantsError(field=BINDING_FIELD)


def duplicate_problems(conversation: Conversation, member: BoundMember) -> Iterator[ConversationsError]:
    """Yield an error if `member` is a duplicate of another member of the conversation.

    Outside a group MMS, two members are duplicates if they have the same address and the same proxy address. For a
    group MMS, see `_is_duplicate_in_group`.
    """
    others = [other for other in conversation.bound if other.sid != member.sid]
    if is_group(conversation.bound):
        if any(_is_duplicate_in_group(member, other) for other in others):
            yield DuplicateGroupMemberError(field=BINDING_FIELD)
    elif member.pair and member.pair in {other.pair for other in others}:
        yield BindingTakenError(field=BINDING_FIELD, conflicting_conversation_sid=conversation.sid)


def group_problems(conversation: Conversation, participant: Participant) -> Iterator[ConversationsError]:
    """Yield an error if a member of a group MMS has no binding. Yield an error if the group has too many members.

    A group without a business number causes no error, because a client can add the phones first and the business number
    later.
    """
    if conversation.members > len(conversation.bound):
        yield ProjectedAddressMissingError(field=PROJECTED_ADDRESS_FIELD)
    if conversation.members > MAX_GROUP_PARTICIPANTS:
        yield GroupTooLargeError(field=_field_of(participant))


def _is_duplicate_in_group(one: BoundMember, other: BoundMember) -> bool:
    """Return whether two members of a group MMS are duplicates.

    Two members are duplicates in each of these cases:

    - They have the same phone number, and neither member has a proxy address.
    - They have the same address and the same proxy address.
    - They have the same projected address and the same identity.
    - They have the same projected address, and neither member has an identity.
    - The projected address of one member is the phone number of a member without a proxy address.

    See docs/behaviour/group-mms.md#duplicates.
    """
    return (
        (one.projected_address is not None and _mask(one) == _mask(other))
        or (one.pair is not None and one.pair == other.pair)
        or not _phones(one).isdisjoint(_phones(other) | _projected(other))
        or not _projected(one).isdisjoint(_phones(other))
    )


def _mask(member: BoundMember) -> tuple[str | None, str | None]:
    return member.identity, member.projected_address


def _phones(member: BoundMember) -> set[str]:
    return {member.group_address} if member.group_address else set()


def _projected(member: BoundMember) -> set[str]:
    return {member.projected_address} if member.projected_address else set()


def _field_of(participant: Participant) -> str:
    return BINDING_FIELD if participant.bound else IDENTITY_FIELD
