"""The addresses of people and businesses, and the channel of each address.

See docs/behaviour/addresses.md.
"""

from __future__ import annotations

import re
from enum import StrEnum

MAX_ADDRESS_CHARACTERS = 256


class Channel(StrEnum):
    """The channel of an address. The value is also the `type` of a messaging binding with this address."""

    SMS = "sms"
    WHATSAPP = "whatsapp"
    RCS = "rcs"
    MESSENGER = "messenger"
    EMAIL = "email"


_PREFIXES = {f"{channel}:": channel for channel in (Channel.WHATSAPP, Channel.RCS, Channel.MESSENGER)}


def channel_of(address: str) -> Channel | None:
    """Return the channel of an address, or None if the address is invalid.

    An address without a channel prefix counts as an e-mail address if it has text before and after its last `@`.
    `check_binding` in participants.py checks that an e-mail address has a binding of the type `email`.
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
    """Return whether `value` has the E.164 format: a plus sign and 7 to 15 digits, the first not 0."""
    return re.fullmatch(r"\+[1-9][0-9]{6,14}", value) is not None


def is_phone_number(value: str) -> bool:
    """Return whether `value` is an E.164 number with a length that is possible in its country.

    The function does not check whether the number is in use. See docs/behaviour/addresses.md#phone-numbers.
    """
    if not is_e164(value):
        return False
    import phonenumbers  # noqa: PLC0415 - slow import that most requests do not need

    try:
        return phonenumbers.is_possible_number(phonenumbers.parse(value))
    except phonenumbers.NumberParseException:
        return False


def _is_valid_name(name: str, channel: Channel) -> bool:
    """Return whether `name` is valid. The name is the part of an address after the channel prefix.

    A Messenger or RCS name must not be empty. A WhatsApp name must be an E.164 number. Its length need not be possible
    in its country, because WhatsApp has numbers in old formats, for example Mexican numbers with `+521`.
    """
    return is_e164(name) if channel is Channel.WHATSAPP else bool(name)
