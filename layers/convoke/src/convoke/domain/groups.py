"""Group MMS: the conditions under which participants form a group, and the maximum size of a group.

In the code of Convoke, a group is always a group MMS. `is_group` defines which conversations are groups.

The rules of a group are in these places:

- `groups.py`: which numbers can be in a group, when a group is formed, and which numbers identify the group.
- `participants.py` and `participant_requests.py`: a projected address must be a group number, and so must the
  address of a phone without a proxy address.
- `conversation_with_participants.py`: duplicates, missing addresses and the minimum size, for the participants of one
  request.
- `memberships.py`: duplicates, missing addresses and the maximum size, when a participant is added or changed later.
- `InboundMessage.check_addresses` in `inbound_messages.py`: the sender and the receivers of a group MMS from a phone.
- `storage/locks.py`: the lock that prevents a second group with the same set of numbers.
- `check_group_author` in `messages.py`: who may write a message in a group.

See docs/behaviour/group-mms.md.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from convoke.domain.addresses import is_phone_number

NORTH_AMERICA = 1
"""The country code of the US and Canada. Other countries and territories also have this country code."""

GROUP_REGIONS = ("US", "CA", None)
"""The regions of group numbers. None stands for numbers that belong to no region, such as 555 numbers."""

WANTED_GROUP_NUMBER = "a US or Canadian number that is not toll-free and not in a US territory"

MIN_GROUP_PARTICIPANTS = 3
"""The minimum number of participants with a messaging binding in a formed group."""

MAX_GROUP_PARTICIPANTS = 10
"""The maximum number of participants of a group. Participants without a messaging binding count too."""


class GroupCandidate(Protocol):
    """The addresses of a stored or requested participant. See `MessagingBinding` in participants.py."""

    @property
    def group_address(self) -> str | None: ...
    @property
    def projected_address(self) -> str | None: ...
    @property
    def pair(self) -> tuple[str, str] | None: ...


def is_group(participants: Sequence[GroupCandidate]) -> bool:
    """Return whether a conversation with these participants is a group MMS.

    The conversation is a group MMS if it has a projected address, or a phone number without a proxy address.
    """
    return any(member.group_address or member.projected_address for member in participants)


def is_formed_group(participants: Sequence[GroupCandidate]) -> bool:
    """Return whether the participants are a formed group: a group MMS with `MIN_GROUP_PARTICIPANTS` or more members.

    `participants` must contain only participants with a messaging binding. A client can add these participants one by
    one. Only a formed group holds the lock that prevents a second group with the same set of numbers. See
    docs/behaviour/group-mms.md#step-by-step.
    """
    return is_group(participants) and len(participants) >= MIN_GROUP_PARTICIPANTS


def number_group(participants: Sequence[GroupCandidate]) -> frozenset[str]:
    """Return the set of numbers that identifies the group. The set is empty if the participants are not a group.

    The set contains the phones without a proxy address and the projected addresses. In one account, two formed groups
    that are not closed cannot have the same set of numbers.
    """
    if not is_group(participants):
        return frozenset()
    return frozenset(
        number for member in participants for number in (member.group_address, member.projected_address) if number
    )


def has_both_sides(participants: Sequence[GroupCandidate]) -> bool:
    """Return whether the participants include at least one phone and at least one business number.

    The phone must have no proxy address. The business number is a projected address or a proxy address.
    """
    phone = any(member.group_address for member in participants)
    return phone and any(member.projected_address or member.pair for member in participants)


def is_group_number(value: str) -> bool:
    """Return whether a number can be in a group MMS.

    True for US and Canadian numbers, and for numbers with the country code 1 that belong to no region, such as 555
    numbers. False for toll-free numbers, for numbers of US territories such as Guam, and for short codes.

    See docs/behaviour/addresses.md#group-numbers.
    """
    if not is_phone_number(value):
        return False
    import phonenumbers  # noqa: PLC0415 - slow import that most requests do not need

    number = phonenumbers.parse(value)
    toll_free = phonenumbers.PhoneNumberType.TOLL_FREE
    return (
        number.country_code == NORTH_AMERICA
        and phonenumbers.number_type(number) != toll_free
        and phonenumbers.region_code_for_number(number) in GROUP_REGIONS
    )
