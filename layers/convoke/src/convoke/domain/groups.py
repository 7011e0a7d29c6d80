"""Group MMS, and what the participants of one request may not be to each other (reference, b.3 and b.4)."""

from __future__ import annotations

from collections.abc import Hashable, Sequence

from convoke.domain.errors import (
    BindingsTakenError,
    ConversationsError,
    DuplicateGroupMemberError,
    GroupNotActivatableError,
    ParticipantExistsError,
    ProjectedAddressMissingError,
)
from convoke.domain.participants import NewParticipant

SMALLEST_GROUP = 3
"""Members with a messaging binding (reference, error 50435)."""


def is_group(participants: Sequence[NewParticipant]) -> bool:
    """A request is for a group MMS as soon as one member has an address without a proxy, or a projected address."""
    return any(member.group_address or member.projected_address for member in participants)


def number_group(participants: Sequence[NewParticipant]) -> frozenset[str]:
    """The set of numbers of which an account may have one open group only; empty where it is no group."""
    if not is_group(participants):
        return frozenset()
    return frozenset(
        number for member in participants for number in (member.group_address, member.projected_address) if number
    )


def check_relations(participants: Sequence[NewParticipant]) -> None:
    """Raise what is wrong between the participants of one request, in the order of the reference (b.7 step 6)."""
    check_duplicates(participants)
    if is_group(participants):
        check_group(participants)


def check_duplicates(participants: Sequence[NewParticipant]) -> None:
    """People may share a business number in a group; nothing and nobody else may be in a conversation twice."""
    if is_group(participants):
        masks = [(member.identity, member.projected_address) for member in participants]
        _refuse_repeated([mask if mask[1] else None for mask in masks], DuplicateGroupMemberError())
        _refuse_repeated([member.group_address for member in participants], DuplicateGroupMemberError())
        _refuse_repeated([member.pair for member in participants], DuplicateGroupMemberError())
        _refuse_projected_members(participants)
    else:
        _refuse_repeated([member.pair for member in participants], BindingsTakenError(where="this request"))
    _refuse_repeated([member.identity for member in participants], ParticipantExistsError())


def check_group(participants: Sequence[NewParticipant]) -> None:
    """What keeps a group MMS from being activated."""
    for position, member in enumerate(participants):
        if member.identity and not member.projected_address:
            raise ProjectedAddressMissingError(parameter=f"Participant[{position}].messaging_binding.projected_address")
    bound = sum(member.binding() is not None for member in participants)
    phones = sum(member.group_address is not None for member in participants)
    business = sum(member.projected_address is not None or member.pair is not None for member in participants)
    if bound < SMALLEST_GROUP or not phones or not business:
        raise GroupNotActivatableError(parameter="Participant")


def _refuse_projected_members(participants: Sequence[NewParticipant]) -> None:
    """A business number that is also the number of a phone member (reference, h 23)."""
    addresses = {member.group_address for member in participants} - {None}
    for position, member in enumerate(participants):
        if member.projected_address in addresses:
            raise DuplicateGroupMemberError(parameter=f"Participant[{position}]")


def _refuse_repeated(values: Sequence[Hashable | None], error: ConversationsError) -> None:
    """Raise `error` at the first value that stood before; None stands for nothing."""
    seen: set[Hashable] = set()
    for position, value in enumerate(values):
        if value in seen:
            raise error.at(f"Participant[{position}]")
        if value is not None:
            seen.add(value)
