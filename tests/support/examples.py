"""The two examples of the ConversationWithParticipants page, and others like them."""

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
    """That many chat members."""
    return [json.dumps({"identity": f"member {number}"}) for number in range(count)]
