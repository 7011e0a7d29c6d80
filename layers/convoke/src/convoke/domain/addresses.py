"""The addresses of people and businesses, and their channels.

See docs/behaviour/addresses.md.
"""

from __future__ import annotations

import re
from enum import StrEnum

MAX_ADDRESS_CHARACTERS = 256


class Channel(StrEnum):
    """The `type` of a messaging binding."""

    SMS = "sms"
    WHATSAPP = "whatsapp"
    RCS = "rcs"
    MESSENGER = "messenger"
    EMAIL = "email"


_PREFIXES = {f"{channel}:": channel for channel in (Channel.WHATSAPP, Channel.RCS, Channel.MESSENGER)}


def channel_of(address: str) -> Channel | None:
    """Return the channel of an address; None if the address is invalid.

    Any address with an `@` is an e-mail address here. `check_binding` checks that its binding has the type `email`.
    """
    if len(address) > MAX_ADDRESS_CHARACTERS:
        return None
    for prefix, channel in _PREFIXES.items():
        if address.startswith(prefix):
            return channel if _is_valid_name(address.removeprefix(prefix), channel) else None
    if "@" in address:
        return Channel.EMAIL if all(address.rpartition("@")) else None
    return Channel.SMS if is_phone_number(address) else None


def is_e164(value: str) -> bool:
    """Return whether `value` has the format of E.164: a plus sign and 7 to 15 digits."""
    return re.fullmatch(r"\+[1-9][0-9]{6,14}", value) is not None


def is_phone_number(value: str) -> bool:
    """Return whether `value` is an E.164 number with a length that is possible in its country.

    The number need not be assigned. See docs/behaviour/addresses.md#phone-numbers.
    """
    import phonenumbers  # noqa: PLC0415 - slow import, and few requests of a cold start need it

    try:
        return is_e164(value) and phonenumbers.is_possible_number(phonenumbers.parse(value))
    except phonenumbers.NumberParseException:
        return False


def _is_valid_name(name: str, channel: Channel) -> bool:
    """Return whether the part of an address after the prefix of its channel is valid.

    Messenger and RCS accept any name. WhatsApp needs a number, but its length is not checked: WhatsApp keeps numbers
    that the telephone network no longer uses, such as Mexican numbers with `+521`.
    """
    return is_e164(name) if channel is Channel.WHATSAPP else bool(name)
