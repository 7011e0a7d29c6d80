"""Addresses of people and of businesses, and the channels they are reached on (reference, b.2)."""

from __future__ import annotations

import re
from enum import StrEnum

MAX_ADDRESS_CHARACTERS = 256
"""Characters (reference, f.1)."""

NORTH_AMERICA = 1
"""The country code of the US and Canada."""


class Channel(StrEnum):
    """The `type` of a messaging binding."""

    SMS = "sms"
    WHATSAPP = "whatsapp"
    RCS = "rcs"
    MESSENGER = "messenger"
    EMAIL = "email"


_PREFIXES = {f"{channel}:": channel for channel in (Channel.WHATSAPP, Channel.RCS, Channel.MESSENGER)}


def channel_of(address: str) -> Channel | None:
    """The channel an address belongs to by its form; None where it has the form of none.

    An e-mail address is one by its `@`; whether it may be used is for the binding's `type` to say.
    """
    if len(address) > MAX_ADDRESS_CHARACTERS:
        return None
    for prefix, channel in _PREFIXES.items():
        if address.startswith(prefix):
            return channel if _fits(address.removeprefix(prefix), channel) else None
    if "@" in address:
        return Channel.EMAIL if all(address.rpartition("@")) else None
    return Channel.SMS if is_phone_number(address) else None


def is_e164(value: str) -> bool:
    """Whether `value` has the form of E.164: a plus and 7 to 15 digits (reference, b.2)."""
    return re.fullmatch(r"\+[1-9][0-9]{6,14}", value) is not None


def is_phone_number(value: str) -> bool:
    """Whether `value` is E.164 of a length that its country has. Whether it is assigned to anybody does not matter.

    The library is imported by the first number: it takes a twentieth of a cold start, and most chats have none.
    """
    import phonenumbers

    try:
        return is_e164(value) and phonenumbers.is_possible_number(phonenumbers.parse(value))
    except phonenumbers.NumberParseException:
        return False


def is_group_number(value: str) -> bool:
    """Whether a number can be in a group MMS: of the US or Canada, and not toll-free (reference, b.4).

    A short code is no number by E.164.
    """
    if not is_phone_number(value):
        return False
    import phonenumbers

    number = phonenumbers.parse(value)
    toll_free = phonenumbers.PhoneNumberType.TOLL_FREE
    return number.country_code == NORTH_AMERICA and phonenumbers.number_type(number) != toll_free


def _fits(name: str, channel: Channel) -> bool:
    """Messenger names people as it likes; RCS senders are names of agents, not numbers only.

    WhatsApp keeps spellings that are no telephone numbers any more, such as Mexico's `+521`.
    """
    return is_e164(name) if channel is Channel.WHATSAPP else bool(name)
