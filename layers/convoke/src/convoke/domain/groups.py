"""Group MMS: when participants form a group, and how large it may be.

The rules of a group are in these places:

- Duplicates and missing addresses among the participants of one request: `conversation_with_participants.py`.
- The same rules, and the maximum size, for a participant who is added or changed later: `memberships.py`.
- Which numbers can be in a group, when a group is formed, and which groups collide: here. The lock that refuses a
  second group is in `storage/locks.py`.
- Who may write a message in a group: `check_group_author` in `messages.py`.

See docs/behaviour/group-mms.md.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from convoke.domain.addresses import is_phone_number

NORTH_AMERICA = 1
"""The country code of the US and Canada."""

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


def is_formed_group(participants: Sequence[GroupCandidate]) -> bool:
    """Return whether the bound participants are a group and enough to hold its lock.

    Only formed groups collide: a second open conversation of the account with the same `number_group` is refused. A
    group that is built step by step is not formed before its third participant. See
    docs/behaviour/group-mms.md#step-by-step.
    """
    return is_group(participants) and len(participants) >= MIN_GROUP_PARTICIPANTS


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


def is_group_number(value: str) -> bool:
    """Return whether a number can be in a group MMS: a US or Canadian number that is not toll-free.

    Short codes are not E.164 numbers, so they cannot. See docs/behaviour/addresses.md#group-numbers.
    """
    if not is_phone_number(value):
        return False
    import phonenumbers  # noqa: PLC0415 - slow import, and few requests of a cold start need it

    number = phonenumbers.parse(value)
    toll_free = phonenumbers.PhoneNumberType.TOLL_FREE
    return number.country_code == NORTH_AMERICA and phonenumbers.number_type(number) != toll_free
