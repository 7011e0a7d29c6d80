"""The `Hub` of the chat server notifies chat clients of changes (embedded/chat/hub.py).

The chat server also limits the calls of each client, and the memory for the client's unsent frames. These tests use
real Sync objects and real sockets.
"""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Awaitable, Callable, Iterator
from typing import Any

import pytest

from convoke.api.chat.frames import Frame, write_frame
from convoke.embedded.chat import limits
from convoke.webhooks.answers import WebhookUnreachableError
from tests.support.chat import ChatServing, Key, TestClient, chat_server, events_in, new_key, subscribe
from tests.support.instances import EmbeddedInstance, held_instance

Scenario = Callable[[ChatServing, Key, str], Awaitable[None]]

MEMBERS = ("alice", "bob")


@pytest.fixture
def instance() -> Iterator[EmbeddedInstance]:
    with held_instance() as instance:
        yield instance


def run(instance: EmbeddedInstance, scenario: Scenario) -> None:
    """Run `scenario` on a chat server.

    The scenario receives the chat server, an API key, and the SID of a conversation with the participants `MEMBERS`.
    """

    async def served() -> None:
        key = new_key(instance)
        async with chat_server(instance) as serving:
            sid = (await instance.asked("POST", "/v1/Conversations", {})).body["sid"]
            for identity in MEMBERS:
                await instance.asked("POST", f"/v1/Conversations/{sid}/Participants", {"Identity": identity})
            await scenario(serving, key, sid)

    asyncio.run(served())


async def next_event(client: TestClient, wanted: str) -> dict[str, Any]:
    """Wait for a frame with an event of the type `wanted`. Return the frame's first event."""
    frame = await client.next(lambda frame: any(event_type == wanted for event_type, _ in events_in(frame)))
    return events_in(frame)[0][1]


async def send(instance: EmbeddedInstance, sid: str, body: str) -> None:
    answer = await instance.asked("POST", f"/v1/Conversations/{sid}/Messages", {"Body": body, "Author": "alice"})
    assert answer.status == 201


def test_member_is_notified_of_a_message_of_the_rest_api(instance: EmbeddedInstance) -> None:
    async def scenario(serving: ChatServing, key: Key, sid: str) -> None:
        async with serving.client(key.token("bob")) as bob:
            await subscribe(bob, f"{sid}.messages")
            await send(instance, sid, "Hello")
            event = await next_event(bob, "list_item_added")
            assert (event["item_index"], event["item_data"]["text"]) == (0, "Hello")

    run(instance, scenario)


def test_client_that_connects_again_gets_what_it_missed(instance: EmbeddedInstance) -> None:
    async def scenario(serving: ChatServing, key: Key, sid: str) -> None:
        async with serving.client(key.token("bob")) as bob:
            _, found = await bob.call("GET", f"/v3/Lists/{sid}.messages")
        await send(instance, sid, "Missed")
        async with serving.client(key.token("bob")) as bob:
            body = {
                "action": "establish",
                "correlation_id": 9,
                "requests": [
                    {"object_sid": found["sid"], "object_type": "list", "last_event_id": found["last_event_id"]}
                ],
            }
            await bob.call("POST", "/v4/Subscriptions", body)
            frames = [await bob.next(lambda frame: frame.method == "notification") for _ in range(2)]
            (added, missed), (established, outcome) = (events_in(frame)[0] for frame in frames)
            assert (added, missed["item_data"]["text"]) == ("list_item_added", "Missed")
            assert (established, outcome["replay_status"]) == ("subscription_established", "completed")
            assert outcome["last_event_id"] >= missed["id"]

    run(instance, scenario)


def test_strangers_cannot_read_or_subscribe(instance: EmbeddedInstance) -> None:
    async def scenario(serving: ChatServing, key: Key, sid: str) -> None:
        async with serving.client(key.token("bob")) as bob, serving.client(key.token("mallory")) as mallory:
            for name in (f"{sid}.messages", f"{sid}.roster", f"{sid}.channel"):
                object_sid = await subscribe(bob, name)
                kind = {"messages": "Lists", "channel": "Documents"}.get(name.rpartition(".")[2], "Maps")
                assert (await mallory.call("GET", f"/v3/{kind}/{name}"))[0] in (403, 404)
                body = {
                    "action": "establish",
                    "correlation_id": 1,
                    "requests": [{"object_sid": object_sid, "object_type": "list", "last_event_id": 1}],
                }
                await mallory.call("POST", "/v4/Subscriptions", body)
                failed = await next_event(mallory, "subscription_failed")
                assert failed["error"]["status"] in (403, 404)
            await send(instance, sid, "Secret")
            await next_event(bob, "list_item_added")
            await mallory.call("POST", "/v1/registrations", {})
            assert mallory.received == []

    run(instance, scenario)


def test_removed_member_is_notified_only_of_the_removal(instance: EmbeddedInstance) -> None:
    async def scenario(serving: ChatServing, key: Key, sid: str) -> None:
        async with serving.client(key.token("bob")) as bob, serving.client(key.token("alice")) as alice:
            for client, identity in ((bob, "bob"), (alice, "alice")):
                await subscribe(client, f"{identity}.channels")
                await subscribe(client, f"{sid}.messages")
            path = f"/v1/Conversations/{sid}"
            # The event loop runs all requests in one tick. Therefore one commit stores all changes.
            await asyncio.gather(
                instance.asked("DELETE", f"{path}/Participants/bob"),
                *(send(instance, sid, f"Message {number}") for number in range(5)),
            )
            assert (await next_event(bob, "map_item_removed"))["item_key"] == sid
            heard = 0
            while heard < 5:
                heard += len(events_in(await alice.next(lambda frame: b"list_item_added" in frame.payload)))
            await bob.call("POST", "/v1/registrations", {})
            reported = [event_type for frame in bob.received for event_type, _ in events_in(frame)]
            assert "list_item_added" not in reported

    run(instance, scenario)


def test_user_who_may_no_longer_see_all_conversations_gets_no_more_events(
    instance: EmbeddedInstance, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("convoke.embedded.chat.server.TICK_SECONDS", 0.05)
    monkeypatch.setattr("convoke.embedded.chat.server.REVOCATION_CHECK_SECONDS", 0.0)
    monkeypatch.setattr("convoke.embedded.chat.connection.REVOCATION_CHECK_SECONDS", 0.0)

    async def scenario(serving: ChatServing, key: Key, sid: str) -> None:
        roles = (await instance.asked("GET", "/v1/Roles", {})).body["roles"]
        by_name = {role["friendly_name"]: role["sid"] for role in roles}
        async with serving.client(key.token("carol")) as carol, serving.client(key.token("bob")) as bob:
            await instance.asked("POST", "/v1/Users/carol", {"RoleSid": by_name["service admin"]})
            for client in (carol, bob):
                await subscribe(client, f"{sid}.messages")
            await asyncio.sleep(0.2)
            await send(instance, sid, "Visible")
            for client in (carol, bob):
                assert (await next_event(client, "list_item_added"))["item_data"]["text"] == "Visible"
            await instance.asked("POST", "/v1/Users/carol", {"RoleSid": by_name["service user"]})
            await asyncio.sleep(0.2)
            await send(instance, sid, "Hidden")
            assert (await next_event(bob, "list_item_added"))["item_data"]["text"] == "Hidden"
            await carol.call("GET", "/Client/v2/Configuration")
            assert [event for frame in carol.received for event in events_in(frame)] == []

    run(instance, scenario)


def test_typing_reaches_the_other_members(instance: EmbeddedInstance) -> None:
    async def scenario(serving: ChatServing, key: Key, sid: str) -> None:
        async with serving.client(key.token("bob")) as bob, serving.client(key.token("alice")) as alice:
            await subscribe(bob, f"{sid}.roster")
            path = f"/v1/Instances/{key.chat_service_sid}/Typing"
            form = {"Content-Type": "application/x-www-form-urlencoded"}
            status, body = await alice.call("POST", path, f"ChannelSid={sid}".encode(), headers=form)
            assert (status, body) == (200, {"typing_timeout": 5})
            typing = await bob.next(lambda frame: frame.header.get("message_type") == "twilio.ipmsg.typing_indicator")
            assert json.loads(typing.payload) == {"channel_sid": sid, "identity": "alice", "typing_timeout": 6}
            async with serving.client(key.token("mallory")) as mallory:
                status, body = await mallory.call("POST", path, {"ChannelSid": sid})
                assert (status, body["code"]) == (403, 50430)
                assert (await mallory.call("POST", path, {}))[0] == 400
                assert (await mallory.call("POST", "/v1/Instances/IS0/Typing", {"ChannelSid": sid}))[0] == 404

    run(instance, scenario)


def test_pre_event_of_a_chat_client_does_not_block_others(instance: EmbeddedInstance) -> None:
    async def scenario(serving: ChatServing, key: Key, sid: str) -> None:
        settings = {"PreWebhookUrl": "http://127.0.0.1:9/", "Filters": "onMessageAdd"}
        await instance.asked("POST", "/v1/Configuration/Webhooks", settings)
        path = f"/Client/v2/Services/{key.chat_service_sid}/Conversations/{sid}/Messages"
        async with serving.client(key.token("alice")) as alice:
            assert (await alice.call("POST", path, {"body": "Asked"}))[0] == 201
            asked = instance.receivers.posted[-1].parameters
            assert (asked["EventType"], asked["Source"], asked["ClientIdentity"]) == ("onMessageAdd", "SDK", "alice")
            instance.receivers.statuses = [403]
            status, body = await alice.call("POST", path, {"body": "Refused"})
            assert (status, body["code"]) == (400, 50056)
            instance.receivers.statuses = [WebhookUnreachableError("no connection")]
            assert (await alice.call("POST", path, {"body": "Nobody asked"}))[0] == 201

    run(instance, scenario)


def test_calls_are_refused_while_the_engine_is_overloaded(
    instance: EmbeddedInstance, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("convoke.embedded.admission.MAX_ADMISSION_WAIT_SECONDS", 0.05)

    async def scenario(serving: ChatServing, key: Key, sid: str) -> None:
        async with serving.client(key.token("alice")) as alice:
            monkeypatch.setattr(instance.engine._admission, "_age", lambda: 9.0)
            path = f"/Client/v2/Services/{key.chat_service_sid}/Conversations/{sid}"
            status, body = await alice.call("POST", f"{path}/Messages", {"body": "Late"})
            assert (status, body["code"]) == (503, 20503)
            assert (await alice.call("GET", path))[0] == 200

    run(instance, scenario)


def messages_path(key: Key, sid: str) -> str:
    return f"/Client/v2/Services/{key.chat_service_sid}/Conversations/{sid}/Messages"


def message_call(path: str) -> dict[str, Any]:
    return {"http_request": {"path": path, "method": "POST", "headers": {}}}


async def slow_pre_event(instance: EmbeddedInstance, seconds: float) -> None:
    """Configure a pre-event whose receiver answers after `seconds`."""
    settings = {"PreWebhookUrl": "http://127.0.0.1:9/", "Filters": "onMessageAdd"}
    await instance.asked("POST", "/v1/Configuration/Webhooks", settings)
    instance.receivers.on_call = lambda: time.sleep(seconds)


@pytest.mark.parametrize(("at_once", "answered_first"), [(64, "GET"), (1, "POST")])
def test_number_of_calls_under_way_is_limited(
    at_once: int, answered_first: str, instance: EmbeddedInstance, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("convoke.embedded.chat.server.MAX_CALLS_UNDER_WAY", at_once)

    async def scenario(serving: ChatServing, key: Key, sid: str) -> None:
        await slow_pre_event(instance, 0.3)
        path = messages_path(key, sid)
        async with serving.client(key.token("alice")) as alice:
            sent = await alice.send("message", message_call(path), b'{"body": "Slow"}')
            await alice.call("GET", path.removesuffix("/Messages"))
            is_slow_answered = any(frame.id == sent for frame in alice.received)
            assert is_slow_answered == (answered_first == "POST")
            await alice.next(lambda frame: frame.id == sent) if not is_slow_answered else None

    run(instance, scenario)


def test_call_under_way_is_answered_before_the_server_stops(instance: EmbeddedInstance) -> None:
    async def scenario(serving: ChatServing, key: Key, sid: str) -> None:
        await slow_pre_event(instance, 0.3)
        async with serving.client(key.token("alice")) as alice:
            sent = await alice.send("message", message_call(messages_path(key, sid)), b'{"body": "Last"}')
            await asyncio.sleep(0.1)
            serving.server.stop_soon()
            reply = await alice.next()
            assert (reply.id, reply.header["http_status"]["code"]) == (sent, 201)
            assert (await alice.next()).method == "close"

    run(instance, scenario)


@pytest.mark.parametrize("method", ["message", "update", "put_notification_ctx"])
def test_client_that_sends_too_many_calls_is_read_slowly(
    method: str, instance: EmbeddedInstance, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("convoke.embedded.chat.connection.MAX_CALLS_AT_ONCE", 5)
    monkeypatch.setattr("convoke.embedded.chat.connection.MAX_CALLS_PER_SECOND", 20.0)

    async def scenario(serving: ChatServing, key: Key, sid: str) -> None:
        header = {**message_call("/v1/registrations"), "token": key.token("alice")}
        async with serving.client(key.token("alice")) as alice:
            begun = time.monotonic()
            for _ in range(15):
                assert (await alice.ask(method, header, b"{}")).header["status"]["code"] == 200
            assert time.monotonic() - begun > 0.4

    run(instance, scenario)


def test_answers_for_a_client_that_reads_nothing_need_limited_memory(instance: EmbeddedInstance) -> None:
    async def scenario(serving: ChatServing, key: Key, sid: str) -> None:
        for _ in range(40):
            await send(instance, sid, "x" * 30_000)
        path = f"/v3/Lists/{sid}.messages/Items"
        async with serving.client(key.token("alice")) as alice:
            for _ in range(40):
                await alice.send("message", {"http_request": {"path": path, "method": "GET"}})
            await asyncio.sleep(1)
            assert instance.gateway is not None
            (connection,) = instance.gateway._chat._connections  # type: ignore[union-attr]
            assert limits.MAX_UNSENT_BYTES < connection._unsent_bytes < 8 * limits.MAX_UNSENT_BYTES
            for _ in range(40):
                await alice.next()

    run(instance, scenario)


def test_confirmations_for_a_client_that_reads_nothing_need_limited_memory(instance: EmbeddedInstance) -> None:
    async def scenario(serving: ChatServing, key: Key, sid: str) -> None:
        async with serving.client(key.token("alice")) as alice:
            # The server's reply repeats the id of the frame. Therefore a long id makes a long reply.
            frame = write_frame(Frame("put_notification_ctx", "x" * 60_000))

            async def flood() -> None:
                for _ in range(400):
                    await alice.socket.send(frame)

            flooding = asyncio.create_task(flood())
            await asyncio.sleep(1)
            assert instance.gateway is not None
            (connection,) = instance.gateway._chat._connections  # type: ignore[union-attr]
            assert limits.MAX_UNSENT_BYTES <= connection._unsent_bytes < 2 * limits.MAX_UNSENT_BYTES
            for _ in range(400):
                await alice.next()
            await flooding

    run(instance, scenario)


def test_expired_token_is_noticed_at_the_next_call(instance: EmbeddedInstance, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("convoke.embedded.chat.server.TICK_SECONDS", 60.0)

    async def scenario(serving: ChatServing, key: Key, sid: str) -> None:
        async with serving.client(key.token("alice", ttl=1)) as alice:
            await asyncio.sleep(1.1)
            await alice.send("message", message_call("/v1/registrations"), b"{}")
            close = await alice.next()
            assert (close.method, close.header["status"]["code"]) == ("close", 410)

    run(instance, scenario)


def test_connected_client_sees_the_current_configuration_of_its_service(instance: EmbeddedInstance) -> None:
    async def scenario(serving: ChatServing, key: Key, sid: str) -> None:
        async with serving.client(key.token("alice")) as alice:
            path = f"/v1/Services/{key.chat_service_sid}/Configuration"
            await instance.asked("POST", path, {"ReachabilityEnabled": "true"})
            _, configuration = await alice.call("GET", "/Client/v2/Configuration")
            assert configuration["options"]["reachability_enabled"] is True

    run(instance, scenario)
