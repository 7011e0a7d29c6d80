"""Send calls of chat users to an instance in this process, without a WebSocket."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote
from uuid import uuid4

from convoke.api.chat.dispatch import ChatDispatcher
from convoke.api.chat.requests import ChatRequest
from convoke.domain.users import user_sid
from tests.support.instances import EmbeddedInstance

CHAT_ORIGIN = "http://convoke.test:8000"


@dataclass(frozen=True)
class ChatResponse:
    status: int
    body: Any

    @property
    def error(self) -> tuple[int, int]:
        """Return the HTTP status and the error code of a failed response."""
        assert self.body["status"] == self.status
        return self.status, self.body["code"]


@dataclass
class ChatUser:
    """A chat user of one service. The user needs no access token.

    The constructor creates the User resource, as the connection of a real client does.
    """

    instance: EmbeddedInstance
    identity: str
    service_sid: str = ""
    dispatcher: ChatDispatcher = field(init=False)

    def __post_init__(self) -> None:
        operations = self.instance.engine.program
        self.service_sid = self.service_sid or self.instance.account.default_chat_service_sid
        self.dispatcher = ChatDispatcher(operations)
        operations.users.see(operations.services.fetch(self.instance.account.sid, self.service_sid), self.identity)

    @property
    def sid(self) -> str:
        return user_sid(self.service_sid, self.identity)

    @property
    def path(self) -> str:
        return f"/Client/v2/Services/{self.service_sid}"

    def call(
        self, method: str, path: str, body: Mapping[str, Any] | None = None, params: Mapping[str, str] | None = None
    ) -> ChatResponse:
        """Call the chat API. `path` is relative to the service's path, or an absolute URL from an earlier response."""
        operations = self.instance.engine.program
        account = operations.accounts.fetch(self.instance.account.sid)
        request = ChatRequest(
            account=account,
            service=operations.services.fetch(account.sid, self.service_sid),
            identity=self.identity,
            user_sid=self.sid,
            method=method,
            path=path.removeprefix(CHAT_ORIGIN) if path.startswith(CHAT_ORIGIN) else self.path + path,
            params=params or {},
            body=body or {},
            base_url=CHAT_ORIGIN,
        )
        answer = self.dispatcher.answer(request, f"RQ{uuid4().hex}")
        # A real client receives the body as JSON. Therefore convert the body to JSON and back.
        return ChatResponse(answer.status, json.loads(json.dumps(answer.body)))

    def conversation(self, conversation: str, path: str = "") -> str:
        return f"/Conversations/{quote(conversation, safe='')}{path}"


def chat_conversation(instance: EmbeddedInstance, *identities: str, **parameters: Any) -> str:
    """Create a conversation with chat participants through the REST API. Return the conversation SID."""
    participants = [json.dumps({"identity": identity}) for identity in identities]
    created = instance.client().conversations.v1.conversation_with_participants.create(
        participant=participants, **parameters
    )
    instance.work()
    return str(created.sid)


def role_with(instance: EmbeddedInstance, role_type: str, *permissions: str) -> str:
    """Create a role through the REST API. Return the role SID."""
    roles = instance.client().conversations.v1.roles
    return str(roles.create(friendly_name="test", type=role_type, permission=[*permissions]).sid)


def receive_webhooks(instance: EmbeddedInstance, *filters: str) -> None:
    """Configure the account's webhooks to receive the events in `filters`.

    The type of an event decides whether Convoke calls the pre-event webhook or the post-event webhook.
    """
    instance.client().conversations.v1.configuration.webhooks().update(
        pre_webhook_url="https://hooks.example.com/pre",
        post_webhook_url="https://hooks.example.com/post",
        filters=[*filters],
    )


def received_webhooks(instance: EmbeddedInstance) -> list[dict[str, str]]:
    """Do all waiting work. Return the parameters of each webhook request since the last call."""
    instance.work()
    posted = [dict(delivery.event.payload) for delivery in instance.receivers.posted]
    instance.receivers.posted.clear()
    return posted
