"""Group MMS: when participants form a group, and how large it may be.

The rules of a group are in these places:

- Duplicates and missing addresses among the participants of one request: `conversation_with_participants.py`.
- The same rules, and the maximum size, for a participant who is added or changed later: `memberships.py`.
- One open group per set of numbers: the lock on `number_group`, in `storage/locks.py`.
- Who may write a message in a group: `check_group_author` in `messages.py`.

See docs/behaviour/group-mms.md.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

MIN_GROUP_PARTICIPANTS = 3
"""The participants with a messaging binding that a group needs at least."""

MAX_GROUP_PARTICIPANTS = 10
"""The participants of a group, with and without a messaging binding."""


class GroupCandidate(Protocol):
    """A participant, stored or requested, with the addresses that decide whether a conversation is a group."""

    @property
    def group_address(self) -> str | None: ...
    @property
    def projected_address(self) -> str | None: ...
    @property
    def pair(self) -> tuple[str, str] | None: ...


def is_group(participants: Sequence[GroupCandidate]) -> bool:
    """Return whether any participant has an address without a proxy address, or a projected address."""
    return any(member.group_address or member.projected_address for member in participants)


def number_group(participants: Sequence[GroupCandidate]) -> frozenset[str]:
    """Return the set of numbers that identifies the group; empty if the participants form no group.

    An account can have one open group per set of numbers.
    """
    if not is_group(participants):
        return frozenset()
    return frozenset(
        number for member in participants for number in (member.group_address, member.projected_address) if number
    )


def has_both_sides(participants: Sequence[GroupCandidate]) -> bool:
    """Return whether there is a phone without a proxy address, and a business number that it can talk to."""
    phone = any(member.group_address for member in participants)
    return phone and any(member.projected_address or member.pair for member in participants)
