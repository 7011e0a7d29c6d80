"""Call the API through its two trees of paths: `/v1/...` and `/v1/Services/{sid}/...`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tests.support.instances import Answer, Instance


class Tree:
    """One of the two trees of paths, and the service to which its conversations belong.

    If `in_service` is true, the paths start with `/v1/Services/{sid}/`, and the constructor creates this service.
    Otherwise the paths start with `/v1/`, and `service_sid` is the SID of the account's default service.
    """

    def __init__(self, instance: Instance, *, in_service: bool) -> None:
        v1 = instance.client().conversations.v1
        self.instance = instance
        self.service_sid: str = instance.account.default_chat_service_sid
        self.path, self.client = "/v1", v1
        if in_service:
            self.service_sid = v1.services.create(friendly_name="Support").sid
            self.path, self.client = f"/v1/Services/{self.service_sid}", v1.services(self.service_sid)

    def make(self, *participants: str, **parameters: Any) -> str:
        """Create a conversation with participants, and do all waiting work. Return the conversation SID."""
        sid: str = self.client.conversation_with_participants.create(participant=[*participants], **parameters).sid
        self.instance.work()
        return sid

    def call(
        self,
        method: str,
        path: str,
        data: Mapping[str, object] | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> Answer:
        """Send a request to a path of this tree, without the SDK."""
        return self.instance.call(method, self.path + path, data, headers)
