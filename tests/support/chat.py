"""Run a chat server on a real socket in this process, and connect a simple client."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote
from uuid import uuid4

from twilio.jwt.access_token import AccessToken
from twilio.jwt.access_token.grants import ChatGrant
from websockets.asyncio.client import ClientConnection, connect

from convoke.api.chat.frames import Frame, parse_frame, write_frame
from convoke.embedded.server import Server, listening_socket
from tests.support.instances import EmbeddedInstance
from tests.support.waiting import TIMEOUT_SECONDS


@dataclass(frozen=True)
class Key:
    """An API key that can sign access tokens."""

    account_sid: str
    sid: str
    secret: str
    chat_service_sid: str

    def token(self, identity: str, *, ttl: int = 3600, chat_service_sid: str | None = None) -> str:
        """Create an access token with the official Twilio library."""
        token = AccessToken(self.account_sid, self.sid, self.secret, identity=identity, ttl=ttl)
        token.add_grant(ChatGrant(service_sid=chat_service_sid or self.chat_service_sid))
        return str(token.to_jwt())


def new_key(instance: EmbeddedInstance) -> Key:
    account = instance.account
    key, secret = instance.accounts.api_keys.create(account.sid)
    return Key(account.sid, key.sid, secret, account.default_chat_service_sid)


@dataclass(frozen=True)
class ChatServing:
    """A running chat server on 127.0.0.1. `port` is its TCP port."""

    instance: EmbeddedInstance
    server: Server
    port: int

    @property
    def url(self) -> str:
        return f"ws://127.0.0.1:{self.port}/v3/wsconnect"

    @asynccontextmanager
    async def client(self, token: str, **header: Any) -> AsyncIterator[TestClient]:
        """Connect a client, send an `init` frame, and wait for the reply."""
        async with self.socket() as client:
            client.init_reply = await client.ask("init", {"token": token, "capabilities": ["client_update"], **header})
            yield client

    @asynccontextmanager
    async def socket(self, **options: Any) -> AsyncIterator[TestClient]:
        """Open a WebSocket without sending an `init` frame."""
        async with connect(self.url, max_size=None, **options) as socket:
            yield TestClient(socket)


@asynccontextmanager
async def chat_server(instance: EmbeddedInstance) -> AsyncIterator[ChatServing]:
    """Run a chat server for the instance on the current event loop."""
    listener = listening_socket("127.0.0.1", 0)
    started = asyncio.Event()

    def start() -> None:
        instance.engine.start()
        started.set()

    instance.gateway = instance.engine.gateway()
    server = Server(instance.gateway, start, instance.engine.stop)
    serving = asyncio.create_task(server.serve(sockets=[listener]))
    try:
        async with asyncio.timeout(TIMEOUT_SECONDS):
            await started.wait()
        yield ChatServing(instance, server, listener.getsockname()[1])
    finally:
        server.stop_soon()
        await serving


@dataclass
class TestClient:
    """A client that sends frames. `received` holds the frames that `next` has not returned yet."""

    __test__ = False

    socket: ClientConnection
    received: list[Frame] = field(default_factory=list)
    init_reply: Frame | None = None

    async def send(self, method: str, header: Mapping[str, Any], payload: bytes = b"") -> str:
        sent = Frame(method, f"TM{uuid4()}", header, payload)
        await self.socket.send(write_frame(sent))
        return sent.id

    async def ask(self, method: str, header: Mapping[str, Any], payload: bytes = b"") -> Frame:
        """Send a frame, wait for its reply, and return the reply."""
        sent = await self.send(method, header, payload)
        return await self.next(lambda frame: frame.method == "reply" and frame.id == sent)

    async def next(self, wanted: Any = lambda frame: True) -> Frame:
        """Return the first frame for which `wanted` returns true.

        The frames in `received` come before the frames that arrive later.
        """
        async with asyncio.timeout(TIMEOUT_SECONDS):
            while True:
                found = next((frame for frame in self.received if wanted(frame)), None)
                if found is not None:
                    self.received.remove(found)
                    return found
                data = await self.socket.recv()
                assert isinstance(data, bytes)
                self.received.append(parse_frame(data))

    async def call(
        self,
        method: str,
        path: str,
        body: Any = None,
        params: Mapping[str, str] | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> tuple[int, Any]:
        """Send a REST call over the WebSocket. Return the HTTP status and the body of the reply."""
        sent = {"host": "aim.us1.twilio.com", "path": path, "method": method, "headers": dict(headers or {})}
        if params is not None:
            sent["params"] = params
        payload = b"" if body is None else body if isinstance(body, bytes) else json.dumps(body).encode()
        reply = await self.ask("message", {"active_grant": "ip_messaging", "http_request": sent}, payload)
        assert reply.header["status"]["code"] == 200
        return reply.header["http_status"]["code"], json.loads(reply.payload) if reply.payload else None


def claims_of(key: Key, identity: str = "alice", **changed: Any) -> dict[str, Any]:
    """Return the claims (payload) of an access token.

    `changed` replaces claims. If a claim's new value is None, the claim is removed.
    """
    now = int(time.time())
    claims = {
        "jti": f"{key.sid}-{now}",
        "iss": key.sid,
        "sub": key.account_sid,
        "iat": now,
        "exp": now + 3600,
        "grants": {"identity": identity, "chat": {"service_sid": key.chat_service_sid}},
        **changed,
    }
    return {name: value for name, value in claims.items() if value is not None}


async def subscribe(client: TestClient, name: str, since: int | None = None) -> str:
    """Subscribe the client to the Sync object `name`. Return the object's SID.

    The client receives the events after the event id `since`. The client can also receive again the events of the few
    seconds before `since` (see REPLAY_MARGIN in operations/sync.py). The default of `since` is the object's last event
    id.
    """
    kinds = {"channel": "Documents", "messages": "Lists"}
    path = f"/v3/{kinds.get(name.rpartition('.')[2], 'Maps')}/{quote(name)}"
    status, found = await client.call("GET", path)
    assert status == 200, found
    kind = {"Documents": "document", "Lists": "list", "Maps": "map"}[path.split("/")[2]]
    request = {
        "object_sid": found["sid"],
        "object_type": kind,
        "last_event_id": found["last_event_id"] if since is None else since,
    }
    body = {"action": "establish", "correlation_id": 1, "requests": [request]}
    assert (await client.call("POST", "/v4/Subscriptions", body))[0] == 202
    outcome = await client.next(lambda frame: b"subscription_" in frame.payload)
    assert json.loads(outcome.payload)["event_type"] == "subscription_established", outcome
    return str(found["sid"])


def events_in(frame: Frame) -> list[tuple[str, dict[str, Any]]]:
    """Return the Sync events of a notification, each with the type of the notification.

    Return an empty list if the frame is not a notification of Sync events.
    """
    if frame.header.get("message_type") != "twilio.sync.event":
        return []
    notification = json.loads(frame.payload)
    return [(notification["event_type"], event) for event in notification["events"]]
