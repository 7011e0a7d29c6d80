"""A chat client connects with its access token and sends frames (embedded/chat/server.py)."""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import Awaitable, Callable, Iterator
from contextlib import suppress
from io import StringIO
from typing import Any

import pytest
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed, InvalidStatus

from convoke.cli.traffic import Traffic
from convoke.embedded.chat import limits
from convoke.testing.instance import RunningInstance, running
from tests.support.chat import ChatServing, Key, TestClient, chat_server, new_key
from tests.support.instances import EmbeddedInstance, held_instance
from tests.support.waiting import TIMEOUT_SECONDS

Scenario = Callable[[ChatServing, Key], Awaitable[None]]


@pytest.fixture
def instance() -> Iterator[EmbeddedInstance]:
    with held_instance() as instance:
        yield instance


def run(instance: EmbeddedInstance, scenario: Scenario) -> None:
    async def served() -> None:
        key = new_key(instance)
        async with chat_server(instance) as serving:
            await scenario(serving, key)

    asyncio.run(served())


def test_client_connects_and_its_user_is_created(instance: EmbeddedInstance) -> None:
    async def scenario(serving: ChatServing, key: Key) -> None:
        registration = {"product": "ip_messaging", "type": "ers", "message_types": ["twilio.ipmsg.new_message"]}
        for _ in range(2):
            async with serving.client(key.token("alice"), registrations=[registration]) as client:
                assert client.init_reply is not None
                header = client.init_reply.header
                assert header["status"]["code"] == 200
                assert header["capabilities"] == ["client_update"]
                assert "offline_storage" not in header
                assert [each["product"] for each in header["init_registrations"]] == ["ip_messaging"]
        events = [event["payload"] for change in instance.changes() for event in change["events"]]
        assert [
            (event["EventType"], event["Identity"], event["Source"], event["ClientIdentity"]) for event in events
        ] == [("onUserAdded", "alice", "SDK", "alice")]

    run(instance, scenario)


def test_client_with_an_invalid_token_is_refused(instance: EmbeddedInstance) -> None:
    async def scenario(serving: ChatServing, key: Key) -> None:
        for token, code in (("nonsense", 20101), (key.token("alice", ttl=-10), 20104)):
            async with serving.client(token) as client:
                assert client.init_reply is not None
                status = client.init_reply.header["status"]
                assert (status["code"], status["errorCode"]) == (401, code)
                with pytest.raises(ConnectionClosed):
                    await client.next()
        assert instance.changes() == []

    run(instance, scenario)


def test_lines_show_connections_changes_and_failures_but_nothing_that_people_wrote(instance: EmbeddedInstance) -> None:
    stream = StringIO()
    traffic = Traffic(instance.engine.api.rule_of, as_json=True, stream=stream)
    instance.engine.observers.add(traffic)

    async def scenario(serving: ChatServing, key: Key) -> None:
        service = f"/Client/v2/Services/{key.chat_service_sid}"
        async with serving.client("nonsense"):
            pass
        async with serving.client(key.token("alice")) as client:
            created = await client.call("POST", f"{service}/Conversations", {"unique_name": "secret"})
            await client.call("GET", f"{service}/Conversations/{created[1]['sid']}")
            await client.call("GET", f"{service}/Conversations/unknown-secret")
            await client.call("SECRET", f"{service}/Conversations")

    run(instance, scenario)
    traffic.close()
    lines = [json.loads(line) for line in stream.getvalue().splitlines()]
    conversations = "/Client/v2/Services/{chat_service_sid}/Conversations"
    assert [(line["chat"], line.get("route"), line["status"], line.get("code")) for line in lines] == [
        ("connect", None, 401, 20101),
        ("connect", None, 200, None),
        ("POST", conversations, 201, None),
        ("GET", f"{conversations}/{{sid}}", 404, 20404),
        ("OTHER", conversations, 405, 20004),
    ]
    assert [line.get("sid", "")[:2] for line in lines] == ["", "US", "CH", "", ""]
    assert "secret" not in stream.getvalue().lower()


def test_unknown_path_and_method_get_the_errors_of_the_rest_api(instance: EmbeddedInstance) -> None:
    async def scenario(serving: ChatServing, key: Key) -> None:
        async with serving.client(key.token("alice")) as client:
            status, body = await client.call("GET", "/Client/v2/Nothing")
            assert (status, body["code"], body["status"]) == (404, 20404, 404)
            status, body = await client.call("GET", "/v1/registrations")
            assert (status, body["code"]) == (405, 20004)
            for payload in (b"[]", b"{", b"7"):
                status, body = await client.call("POST", "/v1/registrations", payload)
                assert (status, body["code"]) == (400, 20001)
            assert (await client.call("DELETE", "/v1/registrations/1", b"null"))[0] == 204

    run(instance, scenario)


def test_registrations_are_confirmed_and_other_frames_are_ignored(instance: EmbeddedInstance) -> None:
    async def scenario(serving: ChatServing, key: Key) -> None:
        async with serving.client(key.token("alice")) as client:
            for method in ("put_notification_ctx", "delete_notification_ctx"):
                reply = await client.ask(method, {"notification_ctx_id": "1"}, b"{}")
                assert reply.header["status"]["code"] == 200
            for method in ("reply", "telemetry.v1", "unknown"):
                await client.send(method, {"status": 200})
            assert (await client.call("POST", "/v1/registrations", {"channel_type": "fcm"}))[0] == 201
            assert client.received == []
            await client.send("close", {})
            with pytest.raises(ConnectionClosed):
                await client.next()

    run(instance, scenario)


def test_websocket_exists_only_at_its_path(instance: EmbeddedInstance) -> None:
    async def scenario(serving: ChatServing, key: Key) -> None:
        # Outside CHAT_PATH, the server ignores the header `Upgrade`. This request gets a 401, because it has no
        # credentials.
        reader, writer = await asyncio.open_connection("127.0.0.1", serving.port)
        writer.write(
            b"GET /v1/Conversations HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
            b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n"
        )
        assert (await reader.readline()).startswith(b"HTTP/1.1 401")
        writer.close()

    run(instance, scenario)


def test_page_of_another_site_cannot_connect(instance: EmbeddedInstance) -> None:
    async def scenario(serving: ChatServing, key: Key) -> None:
        async with serving.socket(origin=f"http://127.0.0.1:{serving.port}"):
            pass
        with pytest.raises(InvalidStatus) as refused:
            async with serving.socket(origin="https://evil.example"):
                pass
        assert refused.value.response.status_code == 403

    run(instance, scenario)


def test_frame_that_is_too_long_or_invalid_closes_the_connection(instance: EmbeddedInstance) -> None:
    async def scenario(serving: ChatServing, key: Key) -> None:
        async with serving.client(key.token("alice")) as client:
            await client.socket.send(b"x" * (limits.MAX_FRAME_BYTES + 1))
            with pytest.raises(ConnectionClosed) as closed:
                await client.next()
            assert closed.value.rcvd is not None
            assert closed.value.rcvd.code == 1009
        async with serving.client(key.token("alice")) as client:
            await client.socket.send("text")
            assert (await client.next()).header["status"]["code"] == 406

    run(instance, scenario)


def test_first_frame_must_be_init(instance: EmbeddedInstance) -> None:
    async def scenario(serving: ChatServing, key: Key) -> None:
        async with serving.socket() as client:
            await client.send("message", {})
            assert (await client.next()).header["status"]["code"] == 406

    run(instance, scenario)


def test_silent_client_is_disconnected(instance: EmbeddedInstance, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("convoke.embedded.chat.server.INIT_TIMEOUT_SECONDS", 0.05)

    async def scenario(serving: ChatServing, key: Key) -> None:
        async with serving.socket() as client:
            assert (await client.next()).header["status"]["code"] == 408

    run(instance, scenario)


def test_client_that_only_sends_pings_needs_limited_memory_and_is_cut(instance: EmbeddedInstance) -> None:
    async def scenario(serving: ChatServing, key: Key) -> None:
        serving.server.config.ws_ping_interval = serving.server.config.ws_ping_timeout = 1.0
        _, writer = await asyncio.open_connection("127.0.0.1", serving.port, limit=1)
        head = f"GET /v3/wsconnect HTTP/1.1\r\nHost: 127.0.0.1:{serving.port}\r\n"
        upgrade = "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"
        writer.write(f"{head}{upgrade}Sec-WebSocket-Key: {'A' * 22}==\r\n\r\n".encode())
        ping = b"\x89\xfd" + bytes(4 + 125)
        connections = serving.server.server_state.connections
        buffered = 0
        with suppress(ConnectionError):
            for _ in range(1000):
                writer.write(200 * ping)
                await writer.drain()
                sizes = [each.transport.get_write_buffer_size() for each in connections]
                buffered = max(buffered, *sizes, 0)
        assert 0 < buffered < 1_000_000
        async with asyncio.timeout(TIMEOUT_SECONDS):
            while connections:
                await asyncio.sleep(0.01)
        writer.close()

    run(instance, scenario)


def test_clients_are_asked_to_reconnect_when_the_server_stops(instance: EmbeddedInstance) -> None:
    async def scenario(serving: ChatServing, key: Key) -> None:
        async with serving.client(key.token("alice")) as client:
            serving.server.stop_soon()
            close = await client.next()
            assert (close.method, close.header["status"]["code"]) == ("close", 308)
            assert b"reconnect_min_ms" in close.payload

    run(instance, scenario)


def test_too_many_connections_of_an_account_are_refused(
    instance: EmbeddedInstance, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("convoke.embedded.chat.server.MAX_CONNECTIONS_PER_ACCOUNT", 1)

    async def scenario(serving: ChatServing, key: Key) -> None:
        async with serving.client(key.token("alice")), serving.client(key.token("bob")) as refused:
            assert refused.init_reply is not None
            assert refused.init_reply.header["status"]["code"] == 429
            assert b"reconnect_min_ms" in refused.init_reply.payload
        async with serving.client(key.token("bob")) as client:
            assert client.init_reply is not None
            assert client.init_reply.header["status"]["code"] == 200

    run(instance, scenario)


def test_expired_token_closes_the_connection(instance: EmbeddedInstance) -> None:
    async def scenario(serving: ChatServing, key: Key) -> None:
        async with serving.client(key.token("alice", ttl=4)) as client:
            warning = await client.next()
            assert warning.header["client_update_type"] == "token_about_to_expire"
            close = await client.next()
            assert (close.method, close.header["status"]["code"]) == ("close", 410)
            with pytest.raises(ConnectionClosed):
                await client.next()

    run(instance, scenario)


def test_client_renews_its_token(instance: EmbeddedInstance) -> None:
    async def scenario(serving: ChatServing, key: Key) -> None:
        async with serving.client(key.token("alice", ttl=3)) as client:
            refused = await client.ask("update", {"token": key.token("bob")})
            assert refused.header["status"]["code"] == 401
            renewed = await client.ask("update", {"token": key.token("alice")})
            assert renewed.header["status"]["code"] == 200
            await asyncio.sleep(3.1)
            assert (await client.call("POST", "/v1/registrations", {}))[0] == 201

    run(instance, scenario)


@pytest.mark.parametrize("deleted", ["key", "user"])
def test_deleted_key_or_user_closes_its_connections(
    deleted: str, instance: EmbeddedInstance, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("convoke.embedded.chat.connection.REVOCATION_CHECK_SECONDS", 0.0)

    async def scenario(serving: ChatServing, key: Key) -> None:
        async with serving.client(key.token("alice")) as alice, serving.client(new_key(instance).token("bob")) as bob:
            if deleted == "key":
                await instance.asked("DELETE", f"/2010-04-01/Accounts/{key.account_sid}/Keys/{key.sid}.json")
            else:
                await instance.asked("DELETE", "/v1/Users/alice")
            close = await alice.next()
            assert (close.method, close.header["status"]["code"]) == ("close", 401)
            assert (await bob.call("POST", "/v1/registrations", {}))[0] == 201

    run(instance, scenario)


def test_user_with_a_client_is_online_until_some_time_after_the_last_client_has_left(
    instance: EmbeddedInstance, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("convoke.embedded.chat.presence.OFFLINE_GRACE_SECONDS", 0.3)

    async def scenario(serving: ChatServing, key: Key) -> None:
        async def is_online() -> Any:
            user = (await instance.asked("GET", "/v1/Users/alice")).body
            assert user["is_notifiable"] is (None if user["is_online"] is None else False)
            return user["is_online"]

        async with serving.client(key.token("alice")):
            assert await is_online() is None
            path = f"/v1/Services/{key.chat_service_sid}/Configuration"
            await instance.asked("POST", path, {"ReachabilityEnabled": "true"})
            assert await is_online() is True
        assert await is_online() is True
        async with serving.client(key.token("alice")):
            await asyncio.sleep(0.4)
            assert await is_online() is True
            event = await instance.asked("POST", "/v1/Users/alice", {"FriendlyName": "A"})
            assert event.body["is_online"] is True
        await asyncio.sleep(0.4)
        assert await is_online() is False

    run(instance, scenario)


def test_reset_tells_clients_to_connect_again() -> None:
    async def scenario(instance: RunningInstance, token: str) -> None:
        async with connect(instance.url.replace("http", "ws") + "/v3/wsconnect") as socket:
            client = TestClient(socket)
            assert (await client.ask("init", {"token": token})).header["status"]["code"] == 200
            await asyncio.to_thread(instance.reset)
            close = await client.next()
            assert (close.method, close.header["status"]["code"]) == ("close", 308)
            with pytest.raises(ConnectionClosed):
                await client.next()

    with running() as instance:
        client = instance.client()
        client.api.base_url = instance.url
        created = client.new_keys.create()
        service_sid = client.conversations.v1.configuration().fetch().default_chat_service_sid
        key = Key(instance.account_sid, created.sid, created.secret, service_sid)
        asyncio.run(scenario(instance, key.token("alice")))


def test_token_is_in_no_log(instance: EmbeddedInstance, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)

    async def scenario(serving: ChatServing, key: Key) -> None:
        forged = key.token("alice")[:-4] + "AAAA"
        async with serving.client(forged) as client:
            assert client.init_reply is not None
            assert forged not in str(client.init_reply)
        async with serving.client(key.token("alice")) as client:
            await client.ask("update", {"token": forged})
        async with serving.client(key.token("alice")) as client:
            await client.socket.send(b"TWILSOCK V3.0 5\r\n" + forged.encode())
            assert forged not in str(await client.next())
        assert forged[:40] not in caplog.text

    run(instance, scenario)
