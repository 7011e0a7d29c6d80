"""The rules that a new or changed participant must satisfy together with the other members of the conversation.

See docs/behaviour/participants.md#create and docs/behaviour/group-mms.md#rules-of-a-group.
"""

from __future__ import annotations

from collections.abc import Iterator

from convoke.domain.conversations import Conversation
from convoke.domain.errors import (
    BindingTakenError,
    ConversationsError,
    DuplicateGroupMemberError,
    GroupNotActivatableError,
    GroupTooLargeError,
    MessagingServiceMissingError,
    ProjectedAddressMissingError,
    TooManyNonChatParticipantsError,
    TooManyParticipantsError,
)
from convoke.domain.groups import MAX_GROUP_PARTICIPANTS, has_both_sides, is_group
from convoke.domain.participant_requests import PROJECTED_ADDRESS_FIELD
from convoke.domain.participants import BoundMember, Participant

MAX_PARTICIPANTS = 1000
"""The maximum number of participants of a conversation, with and without a messaging binding."""

MAX_NON_CHAT_PARTICIPANTS = 50
"""The maximum number of participants with a messaging binding in a conversation."""

BINDING_FIELD = "messaging_binding"

IDENTITY_FIELD = "identity"


def membership_problems(
    before: Conversation, after: Conversation, participant: Participant
) -> Iterator[ConversationsError]:
    """Yield the reasons why a change of a participant is not valid, in the order of the checks.

    `before` is the conversation without the change. `after` is the conversation in which `participant` is added or
    changed.
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
    """Yield an error for each maximum number of participants that the conversation exceeds."""
    if conversation.members > MAX_PARTICIPANTS:
        yield TooManyParticipantsError(field=_field_of(participant))
    if participant.bound and len(conversation.bound) > MAX_NON_CHAT_PARTICIPANTS:
        yield TooManyNonChatParticipantsError(field=BINDING_FIELD)


def duplicate_problems(conversation: Conversation, member: BoundMember) -> Iterator[ConversationsError]:
    """Yield an error if another member of the conversation has the same binding as `member`.

    In a group MMS, members with different identities may share a projected address.
    """
    others = [other for other in conversation.bound if other.sid != member.sid]
    if is_group(conversation.bound):
        if any(_is_duplicate_in_group(member, other) for other in others):
            yield DuplicateGroupMemberError(field=BINDING_FIELD)
    elif member.pair and member.pair in {other.pair for other in others}:
        yield BindingTakenError(field=BINDING_FIELD, conflicting_conversation_sid=conversation.sid)


def group_problems(conversation: Conversation, participant: Participant) -> Iterator[ConversationsError]:
    """Yield the reasons why the members cannot form a group MMS."""
    bound = conversation.bound
    # Every member of a group must have a binding. `conversation.bound` contains only the members that have a binding.
    unbound_count = conversation.members - len(bound)
    if not participant.bound:
        yield ProjectedAddressMissingError(field=PROJECTED_ADDRESS_FIELD)
    if not has_both_sides(bound) or (unbound_count and participant.bound):
        yield GroupNotActivatableError(field=BINDING_FIELD)
    if conversation.members > MAX_GROUP_PARTICIPANTS:
        yield GroupTooLargeError(field=_field_of(participant))


def _is_duplicate_in_group(one: BoundMember, other: BoundMember) -> bool:
    """Return whether two members of a group have an address in common that members may not share.

    Each of these cases is a duplicate:

    - Both members have the same phone number without a proxy address.
    - Both members have the same pair of address and proxy address.
    - Both members have the same projected address, and the same identity or no identity.
    - The projected address of one member is the phone number of the other member.

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
