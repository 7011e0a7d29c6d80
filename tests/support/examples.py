"""Example values for the parameter `Participant`. Some come from Twilio's documentation, and some are generated."""

from __future__ import annotations

import json

CHAT_AND_SMS = [
    '{"messaging_binding": {"address": "+15558675310", "proxy_address": "+15017122661"}}',
    '{"identity": "alice"}',
]

GROUP_MMS = [
    '{"messaging_binding": {"address": "+15558675310"}}',
    '{"messaging_binding": {"address": "+15558675311"}}',
    '{"messaging_binding": {"projected_address": "+15017122661"}}',
]


def chat(count: int) -> list[str]:
    """Return the `Participant` values of `count` chat participants."""
    return [json.dumps({"identity": f"member {number}"}) for number in range(count)]


def chat_of_36_characters(count: int) -> list[str]:
    """Return the `Participant` values of `count` chat participants. Each identity is as long as a UUID."""
    return [json.dumps({"identity": f"{number}-4000-8000-{number:024}"}) for number in range(count)]


def sms(count: int) -> list[str]:
    """Return the `Participant` values of `count` SMS participants with the same proxy address."""
    return [_bound(address=_phone(number), proxy_address="+15017122661") for number in range(count)]


def group_mms(count: int) -> list[str]:
    """Return the `Participant` values of a group MMS. The last of the `count` participants is the business number."""
    return [*(_bound(address=_phone(number)) for number in range(count - 1)), _bound(projected_address="+15017122661")]


def _bound(**binding: str) -> str:
    return json.dumps({"messaging_binding": binding})


def _phone(number: int) -> str:
    return f"+1555867{number:04}"
