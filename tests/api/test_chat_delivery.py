"""Chat clients hear of changes (embedded/chat/hub.py), with real Sync objects and real sockets."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable, Iterator
from typing import Any

import pytest

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
    """Run a scenario with an API key and the SID of a conversation with two members."""

    async def served() -> None:
        key = new_key(instance)
        async with chat_server(instance) as serving:
            sid = (await instance.asked("POST", "/v1/Conversations", {})).body["sid"]
            for identity in MEMBERS:
                await instance.asked("POST", f"/v1/Conversations/{sid}/Participants", {"Identity": identity})
            await scenario(serving, key, sid)

    asyncio.run(served())


async def next_event(client: TestClient, wanted: str) -> dict[str, Any]:
    """Return the data of the first event of a type."""
    frame = await client.next(lambda frame: any(event_type == wanted for event_type, _ in events_in(frame)))
    return events_in(frame)[0][1]


async def send(instance: EmbeddedInstance, sid: str, body: str) -> None:
    answer = await instance.asked("POST", f"/v1/Conversations/{sid}/Messages", {"Body": body, "Author": "alice"})
    assert answer.status == 201


def test_member_hears_of_a_message_of_the_rest_api(instance: EmbeddedInstance) -> None:
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


def test_removed_member_hears_only_of_its_removal(instance: EmbeddedInstance) -> None:
    async def scenario(serving: ChatServing, key: Key, sid: str) -> None:
        async with serving.client(key.token("bob")) as bob, serving.client(key.token("alice")) as alice:
            for client, identity in ((bob, "bob"), (alice, "alice")):
                await subscribe(client, f"{identity}.channels")
                await subscribe(client, f"{sid}.messages")
            path = f"/v1/Conversations/{sid}"
            # All requests run in one tick, and are committed together.
            await asyncio.gather(
                instance.asked("DELETE", f"{path}/Participants/bob"),
                *(send(instance, sid, f"Message {number}") for number in range(5)),
            )
            assert (await next_event(bob, "map_item_removed"))["item_key"] == sid
            heard = 0
            while heard < 5:
                heard += len(events_in(await alice.next(lambda frame: b"list_item_added" in frame.payload)))
            await bob.call("POST", "/v1/registrations", {})
            told = [event_type for frame in bob.received for event_type, _ in events_in(frame)]
            assert "list_item_added" not in told

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
