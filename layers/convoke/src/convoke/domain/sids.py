"""Identifiers: two capital letters and 32 lower-case hexadecimal digits (reference, f.3)."""

from __future__ import annotations

import os
import re
import threading
import time
from collections.abc import Callable
from enum import StrEnum


class Prefix(StrEnum):
    """What a SID names. `EV`, of a change, and `RP`, of a replay, are ours: Twilio's events carry none."""

    ACCOUNT = "AC"
    ALERT = "NO"
    API_KEY = "SK"
    CHANGE = "EV"
    CONTENT = "HX"
    CONVERSATION = "CH"
    FLOW = "FW"
    MEDIA = "ME"
    MESSAGE = "IM"
    MESSAGING_SERVICE = "MG"
    MMS = "MM"
    PARTICIPANT = "MB"
    RECEIPT = "DY"
    REPLAY = "RP"
    ROLE = "RL"
    SERVICE = "IS"
    SMS = "SM"
    USER = "US"
    WEBHOOK = "WH"
    WHATSAPP = "WA"


NewSid = Callable[[Prefix], str]


def is_sid(value: str, prefix: Prefix) -> bool:
    """Whether `value` has the form of a SID of that kind, in either case as clients may send it."""
    return re.fullmatch(prefix + "[0-9a-fA-F]{32}", value) is not None


def parse_sid(value: str, prefix: Prefix) -> str | None:
    """The SID that a client means by `value`, with its digits in lower case; None where it is none of that kind."""
    return prefix + value[len(prefix) :].lower() if is_sid(value, prefix) else None


class SidFactory:
    """Makes SIDs that sort by the moment of their making, strictly so within one process.

    48 bits of milliseconds, 16 bits of sequence, 64 bits from the operating system's source of randomness (asked anew
    each time, so that two restores of one Lambda snapshot differ).
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._last = 0

    def __call__(self, prefix: Prefix) -> str:
        with self._lock:
            self._last = max(self._last + 1, (time.time_ns() // 1_000_000) << 16)
            ordered = self._last
        return f"{prefix}{ordered:016x}{os.urandom(8).hex()}"
