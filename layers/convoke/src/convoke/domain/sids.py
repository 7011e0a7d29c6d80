"""SIDs: two capital letters and 32 lower-case hexadecimal digits.

See docs/behaviour/limits.md#identifiers.
"""

from __future__ import annotations

import os
import re
import threading
import time
from enum import StrEnum
from typing import Protocol


class Prefix(StrEnum):
    """The type of the resource that a SID identifies. Twilio has no changes (`EV`) and no event replays (`RP`)."""

    ACCOUNT = "AC"
    ADDRESS_CONFIGURATION = "IG"
    ALERT = "NO"
    API_KEY = "SK"
    BINDING = "BS"
    CHANGE = "EV"
    CONTENT = "HX"
    CONVERSATION = "CH"
    CREDENTIAL = "CR"
    FLOW = "FW"
    MEDIA = "ME"
    MESSAGE = "IM"
    MESSAGING_SERVICE = "MG"
    MMS = "MM"
    PARTICIPANT = "MB"
    RECEIPT = "DY"
    REPLAY = "RP"
    ROLE = "RL"
    SENDER = "XE"
    SERVICE = "IS"
    SMS = "SM"
    USER = "US"
    WEBHOOK = "WH"
    WHATSAPP = "WA"


SID_DIGITS = "[0-9a-fA-F]{32}"
"""The regular expression of the digits after the prefix. Clients may send upper-case digits."""

INDEX_DIGITS = 12
"""The length of the message index in a message SID. The index starts directly after the prefix."""

TIME_DIGITS = 12
"""The length of the creation time in a SID of `SidFactory`. The time is in milliseconds.

These SIDs contain no time:

- Message SIDs. They contain an index instead.
- User SIDs, most alert SIDs, and the SIDs of the changes that created these alerts. Their digits are a hash.
- Account SIDs that the operator or the deployment chooses.
"""


class NewSid(Protocol):
    """Creates SIDs. `SidFactory` describes the digits of a SID."""

    def __call__(self, prefix: Prefix) -> str:
        """Return a new SID with the given prefix."""
        ...

    def batch(self, prefix: Prefix, count: int) -> list[str]:
        """Return `count` new SIDs that begin with the same digits, because they contain the same time.

        The item of a provisioning contains the SIDs of its participants, and stores the common first digits of these
        SIDs only once. Equal times therefore keep this item small.
        """
        ...


def is_sid(value: str, prefix: Prefix) -> bool:
    """Return whether `value` is a SID with this prefix. Upper-case digits are valid too."""
    return re.fullmatch(prefix + SID_DIGITS, value) is not None


def parse_sid(value: str, prefix: Prefix) -> str | None:
    """Return `value` with lower-case digits, or None if `value` is not a SID with this prefix."""
    return prefix + value[len(prefix) :].lower() if is_sid(value, prefix) else None


class SidFactory:
    """Creates SIDs that sort by the time of their creation.

    The digits of each new SID are greater than the digits of all earlier SIDs of the same factory. The caller replaces
    the time in a message SID with the index of the message (`sid_with_index`).

    A SID consists of the time in milliseconds (48 bits), a counter (16 bits) and random bits (64 bits). The random bits
    come from the operating system. Lambda may restore one snapshot twice, and a random generator inside the process
    would then create the same bits twice.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._last = 0

    def __call__(self, prefix: Prefix) -> str:
        return self.batch(prefix, 1)[0]

    def batch(self, prefix: Prefix, count: int) -> list[str]:
        with self._lock:
            first = max(self._last + 1, (time.time_ns() // 1_000_000) << 16)
            self._last = first + count - 1
        return [f"{prefix}{ordered:016x}{os.urandom(8).hex()}" for ordered in range(first, first + count)]


def milliseconds_of(sid: str) -> int:
    """Return the time at which `SidFactory` created a SID, in milliseconds since 1970.

    `sid` must be a SID that contains a time. See TIME_DIGITS.
    """
    return int(sid[2 : 2 + TIME_DIGITS], 16)


def index_of_message(sid: str) -> int:
    """Return the message index that a message SID contains."""
    start = len(Prefix.MESSAGE)
    return int(sid[start : start + INDEX_DIGITS], 16)


def sid_with_index(sid: str, index: int) -> str:
    """Replace the time at the start of the message SID `sid` with `index`, and return the new SID.

    Messages therefore sort by index, even if the clocks of two processes differ. The last 80 bits of the SID do not
    change. If two concurrent requests use the same index, these bits make their SIDs different.
    """
    start = len(Prefix.MESSAGE)
    return f"{Prefix.MESSAGE}{index:0{INDEX_DIGITS}x}{sid[start + INDEX_DIGITS :]}"


def least_sid_with_index(index: int) -> str:
    """Return the least SID that a message with this index can have."""
    return sid_with_index(Prefix.MESSAGE + "0" * 32, index)


def greatest_sid_with_index(index: int) -> str:
    """Return the greatest SID that a message with this index can have.

    A page that starts after this SID begins with the first message whose index is greater than `index`.
    """
    return sid_with_index(Prefix.MESSAGE + "f" * 32, index)
