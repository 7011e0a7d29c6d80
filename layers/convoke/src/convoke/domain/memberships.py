"""What a member may not be to the others of its conversation (reference, b.3 and b.4)."""

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
from convoke.domain.participant_requests import PROJECTED_ADDRESS
from convoke.domain.participants import BoundMember, Participant

MAX_PARTICIPANTS = 1000
"""Of all kinds (reference, f.1)."""

MAX_NON_CHAT_PARTICIPANTS = 50
"""With a messaging binding (reference, f.1)."""

BINDING = "MessagingBinding"
"""Stands for all parameters of the binding."""


def membership_problems(
    before: Conversation, after: Conversation, participant: Participant
) -> Iterator[ConversationsError]:
    """What is wrong with `after`, in which `participant` is new or changed, in the order of the reference (b.7)."""
    for member in participant.bound:
        yield from duplicate_problems(after, member)
    if after.is_formed_group:
        yield from group_problems(after, participant)
    if participant.bound and not after.messaging_service_sid:
        yield MessagingServiceMissingError(parameter=BINDING)
    if after.members > before.members:
        yield from limit_problems(after, participant)


def limit_problems(conversation: Conversation, participant: Participant) -> Iterator[ConversationsError]:
    if conversation.members > MAX_PARTICIPANTS:
        yield TooManyParticipantsError(parameter=_named(participant))
    if participant.bound and len(conversation.bound) > MAX_NON_CHAT_PARTICIPANTS:
        yield TooManyNonChatParticipantsError(parameter=BINDING)


def duplicate_problems(conversation: Conversation, member: BoundMember) -> Iterator[ConversationsError]:
    """People may share a business number in a group; nothing and nobody else may be in a conversation twice."""
    others = [other for other in conversation.bound if other.sid != member.sid]
    if is_group(conversation.bound):
        if any(_same_in_group(member, other) for other in others):
            yield DuplicateGroupMemberError(parameter=BINDING)
    elif member.pair and member.pair in {other.pair for other in others}:
        yield BindingTakenError(parameter=BINDING, conflicting_conversation_sid=conversation.sid)


def group_problems(conversation: Conversation, participant: Participant) -> Iterator[ConversationsError]:
    """What keeps a group MMS of three or more from being activated."""
    bound = conversation.bound
    without_mask = conversation.members - len(bound)
    if not participant.bound:
        yield ProjectedAddressMissingError(parameter=PROJECTED_ADDRESS)
    if not has_both_sides(bound) or (without_mask and participant.bound):
        yield GroupNotActivatableError(parameter=BINDING)
    if conversation.members > MAX_GROUP_PARTICIPANTS:
        yield GroupTooLargeError(parameter=_named(participant))


def _same_in_group(one: BoundMember, other: BoundMember) -> bool:
    """The same phone, pair or mask, or a business number that is also a phone's (reference, h 23)."""
    return (
        (one.projected_address is not None and _mask(one) == _mask(other))
        or (one.pair is not None and one.pair == other.pair)
        or not _phones(one).isdisjoint(_phones(other) | _business(other))
        or not _business(one).isdisjoint(_phones(other))
    )


def _mask(member: BoundMember) -> tuple[str | None, str | None]:
    return member.identity, member.projected_address


def _phones(member: BoundMember) -> set[str]:
    return {member.group_address} if member.group_address else set()


def _business(member: BoundMember) -> set[str]:
    return {member.projected_address} if member.projected_address else set()


def _named(participant: Participant) -> str:
    return BINDING if participant.bound else "Identity"
