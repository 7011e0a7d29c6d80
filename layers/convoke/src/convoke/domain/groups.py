"""Group MMS, and what the participants of one request may not be to each other (reference, b.3 and b.4)."""

from __future__ import annotations

from collections.abc import Hashable, Iterator, Sequence
from typing import Protocol

from convoke.domain.errors import (
    BindingsTakenError,
    ConversationsError,
    DuplicateGroupMemberError,
    GroupNotActivatableError,
    ParticipantExistsError,
    ProjectedAddressMissingError,
)
from convoke.domain.participants import NewParticipant

MIN_GROUP_PARTICIPANTS = 3
"""Members with a messaging binding (reference, error 50435)."""

MAX_GROUP_PARTICIPANTS = 10
"""Members of all kinds (reference, b.4)."""


class Numbered(Protocol):
    """A member, standing or asked for."""

    @property
    def group_address(self) -> str | None: ...
    @property
    def projected_address(self) -> str | None: ...
    @property
    def pair(self) -> tuple[str, str] | None: ...


def is_group(participants: Sequence[Numbered]) -> bool:
    """It is a group MMS as soon as one member has an address without a proxy, or a projected address."""
    return any(member.group_address or member.projected_address for member in participants)


def number_group(participants: Sequence[Numbered]) -> frozenset[str]:
    """The set of numbers of which an account may have one open group only; empty where it is no group."""
    if not is_group(participants):
        return frozenset()
    return frozenset(
        number for member in participants for number in (member.group_address, member.projected_address) if number
    )


def has_both_sides(participants: Sequence[Numbered]) -> bool:
    """A phone of its own, and a number of the business that it talks to (reference, error 50435)."""
    phone = any(member.group_address for member in participants)
    return phone and any(member.projected_address or member.pair for member in participants)


def relation_problems(participants: Sequence[NewParticipant]) -> Iterator[ConversationsError]:
    """What is wrong between the participants of one request, in the order of the reference (b.7 step 6)."""
    yield from duplicate_problems(participants)
    if is_group(participants):
        yield from group_problems(participants)


def duplicate_problems(participants: Sequence[NewParticipant]) -> Iterator[ConversationsError]:
    """People may share a business number in a group; nothing and nobody else may be in a conversation twice."""
    if is_group(participants):
        masks = [(member.identity, member.projected_address) for member in participants]
        yield from _repeated([mask if mask[1] else None for mask in masks], DuplicateGroupMemberError())
        yield from _repeated([member.group_address for member in participants], DuplicateGroupMemberError())
        yield from _repeated([member.pair for member in participants], DuplicateGroupMemberError())
        yield from _projected_members(participants)
    else:
        yield from _repeated([member.pair for member in participants], BindingsTakenError(where="this request"))
    yield from _repeated([member.identity for member in participants], ParticipantExistsError())


def group_problems(participants: Sequence[NewParticipant]) -> Iterator[ConversationsError]:
    """What keeps a group MMS from being activated."""
    for position, member in enumerate(participants):
        if member.identity and not member.projected_address:
            yield ProjectedAddressMissingError(parameter=f"Participant[{position}].messaging_binding.projected_address")
    bound = sum(member.binding() is not None for member in participants)
    if bound < MIN_GROUP_PARTICIPANTS or not has_both_sides(participants):
        yield GroupNotActivatableError(parameter="Participant")


def _projected_members(participants: Sequence[NewParticipant]) -> Iterator[ConversationsError]:
    """A business number that is also the number of a phone member (reference, h 23)."""
    addresses = {member.group_address for member in participants} - {None}
    for position, member in enumerate(participants):
        if member.projected_address in addresses:
            yield DuplicateGroupMemberError(parameter=f"Participant[{position}]")


def _repeated(values: Sequence[Hashable | None], error: ConversationsError) -> Iterator[ConversationsError]:
    """`error` at each value that stood before; None stands for nothing."""
    seen: set[Hashable] = set()
    for position, value in enumerate(values):
        if value in seen:
            yield error.at(f"Participant[{position}]")
        if value is not None:
            seen.add(value)
