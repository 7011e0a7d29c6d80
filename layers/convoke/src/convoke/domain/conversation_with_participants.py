"""The rules for the combination of participants in a ConversationWithParticipants request.

Convoke first checks each participant separately. Two functions determine the order of the checks: `create` in
api/resources/conversation_with_participants.py, and `problems` in operations/conversation_with_participants.py.

groups.py defines what a group MMS is. memberships.py has the rules for participants that a client adds later. See
docs/behaviour/conversation-with-participants.md#relations-between-participants.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterator, Sequence

from convoke.domain.errors import (
    BindingsTakenError,
    ConversationsError,
    DuplicateGroupMemberError,
    GroupNotActivatableError,
    ParticipantExistsError,
    ProjectedAddressMissingError,
    TooManyParticipantsInRequestError,
)
from convoke.domain.groups import MIN_GROUP_PARTICIPANTS, has_both_sides, is_group
from convoke.domain.participants import NewParticipant

MAX_PARTICIPANTS_PER_REQUEST = 10

PARTICIPANTS = "participants"
"""The field paths of participants begin with this name. Example: `("participants", 3, "identity")`."""


def count_problems(count: int) -> Iterator[ConversationsError]:
    """Yield an error if a request has more than `MAX_PARTICIPANTS_PER_REQUEST` participants."""
    if count > MAX_PARTICIPANTS_PER_REQUEST:
        yield TooManyParticipantsInRequestError(field=PARTICIPANTS)


def relation_problems(participants: Sequence[NewParticipant]) -> Iterator[ConversationsError]:
    """Yield the errors in the combination of participants, in the order of the checks."""
    yield from duplicate_problems(participants)
    if is_group(participants):
        yield from group_problems(participants)


def duplicate_problems(participants: Sequence[NewParticipant]) -> Iterator[ConversationsError]:
    """Yield the errors about participants that are duplicates.

    Duplicates have the same identity, or the same pair of address and proxy address. In a group MMS, there are further
    kinds of duplicates. See `_is_duplicate_in_group` in memberships.py.
    """
    yield from _repeated_pairs_outside_groups(participants)
    yield from _repeated([member.identity for member in participants], ParticipantExistsError)
    if is_group(participants):
        # A mask consists of a participant's identity (or None) and its projected address. A participant without a
        # projected address has no mask. No two participants can have the same mask.
        masks = [(member.identity, member.projected_address) for member in participants]
        yield from _repeated([mask if mask[1] else None for mask in masks], DuplicateGroupMemberError)
        yield from _repeated([member.group_address for member in participants], DuplicateGroupMemberError)
        yield from _repeated([member.pair for member in participants], DuplicateGroupMemberError)
        yield from _projected_addresses_of_members(participants)


def _repeated_pairs_outside_groups(participants: Sequence[NewParticipant]) -> Iterator[ConversationsError]:
    if not is_group(participants):
        for position in _repeated_positions([member.pair for member in participants]):
            yield BindingsTakenError(field=(PARTICIPANTS, position), where="this request")


def group_problems(participants: Sequence[NewParticipant]) -> Iterator[ConversationsError]:
    """Yield the reasons why the participants cannot form a group MMS."""
    for position, member in enumerate(participants):
        if member.identity and not member.projected_address:
            field = (PARTICIPANTS, position, "messaging_binding", "projected_address")
            yield ProjectedAddressMissingError(field=field)
    bound = sum(member.binding() is not None for member in participants)
    if bound < MIN_GROUP_PARTICIPANTS or not has_both_sides(participants):
        yield GroupNotActivatableError(field=PARTICIPANTS)


def _projected_addresses_of_members(participants: Sequence[NewParticipant]) -> Iterator[ConversationsError]:
    """Yield an error for each projected address that is also the number of a phone without a proxy address."""
    addresses = {member.group_address for member in participants} - {None}
    for position, member in enumerate(participants):
        if member.projected_address in addresses:
            yield DuplicateGroupMemberError(field=(PARTICIPANTS, position))


def _repeated(values: Sequence[Hashable | None], error: type[ConversationsError]) -> Iterator[ConversationsError]:
    return (error(field=(PARTICIPANTS, position)) for position in _repeated_positions(values))


def _repeated_positions(values: Sequence[Hashable | None]) -> Iterator[int]:
    """Yield the position of each value, other than None, that is equal to an earlier value."""
    seen: set[Hashable] = set()
    for position, value in enumerate(values):
        if value in seen:
            yield position
        if value is not None:
            seen.add(value)
