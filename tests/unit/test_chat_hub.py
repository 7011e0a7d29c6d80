"""The `Hub` of the chat server notifies the subscribers of Sync objects (embedded/chat/hub.py).

The hub gets the events from a feed. These tests use a fake feed.
"""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Awaitable, Callable, Iterable
from contextlib import closing
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from convoke.api.chat.frames import parse_frame
from convoke.api.chat.requests import ChatRequest
from convoke.domain.access_tokens import ChatSession
from convoke.domain.accounts import Account
from convoke.domain.errors import (
    AccessTokenExpiredError,
    InvalidParameterError,
    SyncObjectNotFoundError,
    UnavailableError,
)
from convoke.domain.events import Change, Event, EventType
from convoke.domain.sids import SidFactory
from convoke.domain.sync_objects import Action, ObjectKind, SyncObject, Touch
from convoke.domain.users import user_sid
from convoke.embedded.chat import limits
from convoke.embedded.chat.connection import CallRate, ChatClient, Connection
from convoke.embedded.chat.hub import SUBSCRIPTIONS_PATH, Hub
from convoke.embedded.chat.presence import ConnectedUsers
from convoke.embedded.gateway import Message
from convoke.embedded.sqlite import SqliteTable
from convoke.embedded.suspension import RunAgainError
from convoke.operations.services import new_service
from convoke.operations.sync import Replay, SyncEvent
from convoke.storage.table import Put
from tests.support.waiting import TIMEOUT_SECONDS

NOW = datetime(2026, 1, 2, tzinfo=UTC)

SERVICE = new_service("AC1", "Service", NOW, SidFactory())

ACCOUNT = Account(
    sid="AC1", date_created=NOW, default_chat_service_sid=SERVICE.sid, default_messaging_service_sid="MG1"
)


CONVERSATION_SID = "CH" + 32 * "1"

MESSAGES = SyncObject(ObjectKind.MESSAGES, CONVERSATION_SID)
ROSTER = SyncObject(ObjectKind.ROSTER, CONVERSATION_SID)
DOCUMENT = SyncObject(ObjectKind.CHANNEL, CONVERSATION_SID)
MISSING = SyncObject(ObjectKind.MESSAGES, "CH" + 32 * "9")


@dataclass
class Feed:
    """A fake feed that provides the hub with events.

    Each change counts as a change of the Sync object `touched`: by default, the list of the conversation's messages.
    """

    table: SqliteTable
    missed: dict[SyncObject, Replay]
    touched: SyncObject = MESSAGES
    problems: list[BaseException] = field(default_factory=list)

    def replay(self, session: ChatSession, sync_object: SyncObject, since: int | None) -> Replay:
        self._raise()
        if sync_object == MISSING:
            raise SyncObjectNotFoundError
        return self.missed.get(sync_object, NOTHING_MISSED)

    def check_visible(self, session: ChatSession, sync_object: SyncObject) -> None: ...

    def touches(self, change: Change) -> Iterable[Touch]:
        return (Touch(self.touched, Action.ADDED, change.sid),)

    def events(self, change: Change, touches: Iterable[Touch]) -> Iterable[SyncEvent]:
        self._raise()
        assert self.table._unit is None, "clients must see only committed data"
        for touch in touches:
            yield event(change.sid, touch.object)

    def reachability(self, session: ChatSession) -> SyncEvent | None:
        return None

    def _raise(self) -> None:
        if self.problems:
            raise self.problems.pop(0)


def event(text: str, sync_object: SyncObject = MESSAGES) -> SyncEvent:
    """Return a Sync event whose data contains `text`."""
    key = None if sync_object == DOCUMENT else "7"
    return SyncEvent(sync_object, Action.UPDATED if key is None else Action.ADDED, key, 1, {"text": text})


NOTHING_MISSED = Replay((), is_complete=True, last_event_id=7)


@dataclass
class Machine:
    table: SqliteTable
    feed: Feed
    hub: Hub

    def client(self, user_sid: str = "US1") -> FakeClient:
        return FakeClient(self.hub, user_sid)

    async def settled(self) -> None:
        """Wait until the hub has no more work."""
        async with asyncio.timeout(TIMEOUT_SECONDS):
            while self.hub._work or self.table._unit:
                await asyncio.sleep(0)
        await asyncio.sleep(0.01)


class FakeClient:
    """A client that stores the received frames in `frames`. If `reading` is not set, the client reads nothing."""

    def __init__(self, hub: Hub, user_sid: str) -> None:
        self.hub = hub
        self.frames: list[dict[str, Any]] = []
        self.closed = self.cut = False
        self.reading = asyncio.Event()
        self.reading.set()
        session = ChatSession(ACCOUNT, SERVICE, user_sid, user_sid, "SK1", NOW)
        self.connection = Connection(self._send, self._cut)
        self.chat_client = ChatClient(self.connection, session, 0.0)
        self.writing = asyncio.create_task(self.connection.write())
        hub.join(self.chat_client)

    async def _send(self, message: Message) -> None:
        await self.reading.wait()
        if message["type"] == "websocket.close":
            self.closed = True
            return
        frame = parse_frame(message["bytes"])
        self.frames.append({**frame.header, "method": frame.method, "payload": json.loads(frame.payload or b"null")})

    def _cut(self) -> None:
        self.cut = True

    def asks(self, action: str, *objects: SyncObject, correlation_id: int = 1) -> Any:
        requests = [{"object_sid": each.sid, "object_type": "list", "last_event_id": None} for each in objects]
        body = {"action": action, "correlation_id": correlation_id, "requests": requests}
        return self.hub.subscribe(self.chat_client, call(body))

    @property
    def notifications(self) -> list[tuple[str, Any]]:
        """The events that the client has received, as pairs of the notification's type and the event's text.

        If an event has no text, its pair contains the SID of the Sync object instead.
        """
        found = []
        for frame in self.frames:
            for each in frame["payload"]["events"]:
                data = each.get("item_data") or each.get("document_data")
                found.append((frame["payload"]["event_type"], data["text"] if data else each["object_sid"]))
        return found


def call(body: dict[str, Any]) -> ChatRequest:
    return ChatRequest(
        account=ACCOUNT,
        service=SERVICE,
        identity="",
        user_sid="",
        method="POST",
        path=SUBSCRIPTIONS_PATH,
        body=body,
        base_url="",
    )


def change(sid: str) -> Change:
    """Return a change without events. The fake feed decides which Sync object has changed."""
    return Change(sid=sid, account_sid=ACCOUNT.sid, events=(), notify_webhooks=False)


def removal(sid: str, identity: str) -> Change:
    """Return a change that removes a participant."""
    removed = Event(
        id=f"{sid}-0",
        type=EventType.PARTICIPANT_REMOVED,
        account_sid=ACCOUNT.sid,
        conversation_sid=CONVERSATION_SID,
        occurred_at=NOW,
        payload={"ParticipantSid": "MB1", "Identity": identity, "ChatServiceSid": SERVICE.sid},
        notify_webhooks=False,
    )
    return change(sid).model_copy(update={"events": (removed,), "conversation_sid": CONVERSATION_SID})


def run(scenario: Callable[[Machine], Awaitable[None]]) -> None:
    async def attached() -> None:
        with closing(SqliteTable(":memory:")) as table:
            table.attach(asyncio.get_running_loop())
            feed = Feed(table, missed={})
            await scenario(Machine(table, feed, Hub(table, feed, ConnectedUsers())))

    asyncio.run(attached())


def test_subscriber_gets_missed_events_then_the_confirmation_then_later_events() -> None:
    async def scenario(machine: Machine) -> None:
        client = machine.client()
        missed = [event(f"missed {number}") for number in range(2)]
        machine.feed.missed[MESSAGES] = Replay(missed, is_complete=True, last_event_id=7)
        answer = client.asks("establish", MESSAGES, correlation_id=5)
        assert (answer.status, answer.body["max_batch_size"]) == (202, 1000)
        machine.hub.changed([change("later")])
        await machine.settled()
        assert client.notifications == [
            ("list_item_added", "missed 0"),
            ("list_item_added", "missed 1"),
            ("subscription_established", MESSAGES.sid),
            ("list_item_added", "later"),
        ]
        assert len(client.frames) == 3
        established = client.frames[1]["payload"]
        assert established["correlation_id"] == 5
        assert established["events"][0]["replay_status"] == "completed"
        assert established["events"][0]["last_event_id"] == 7

    run(scenario)


def test_interrupted_replay_does_not_subscribe() -> None:
    async def scenario(machine: Machine) -> None:
        client = machine.client()
        machine.feed.missed[MESSAGES] = Replay((), is_complete=False, last_event_id=7)
        client.asks("establish", MESSAGES)
        await machine.settled()
        assert client.frames[0]["payload"]["events"][0]["replay_status"] == "interrupted"
        assert not machine.hub.has_subscribers

    run(scenario)


def test_subscription_of_a_missing_object_fails() -> None:
    async def scenario(machine: Machine) -> None:
        client = machine.client()
        client.asks("establish", MISSING, MESSAGES)
        await machine.settled()
        assert client.notifications == [
            ("subscription_failed", MISSING.sid),
            ("subscription_established", MESSAGES.sid),
        ]
        assert client.frames[0]["payload"]["events"][0]["error"]["status"] == 404

    run(scenario)


def test_canceled_subscription_and_client_that_left_get_nothing() -> None:
    async def scenario(machine: Machine) -> None:
        canceling, leaving = machine.client(), machine.client()
        for client in (canceling, leaving):
            client.asks("establish", MESSAGES)
        await machine.settled()
        canceling.asks("cancel", MESSAGES, correlation_id=2)
        machine.hub.leave(leaving.chat_client)
        machine.hub.changed([change("late")])
        await machine.settled()
        assert canceling.notifications[1:] == [("subscription_canceled", MESSAGES.sid)]
        assert leaving.notifications == [("subscription_established", MESSAGES.sid)]
        assert not machine.hub.has_subscribers

    run(scenario)


def test_removed_member_gets_nothing_that_is_still_in_the_queue() -> None:
    async def scenario(machine: Machine) -> None:
        removed, other = machine.client(user_sid(SERVICE.sid, "bob")), machine.client("US2")
        for client in (removed, other):
            client.asks("establish", MESSAGES)
        await machine.settled()
        machine.hub.changed([change("before")])
        machine.hub.changed([removal("removal", "bob")])
        await machine.settled()
        assert removed.notifications == [("subscription_established", MESSAGES.sid)]
        assert [sid for _, sid in other.notifications] == [MESSAGES.sid, "before", "removal"]

    run(scenario)


def test_removed_member_gets_nothing_that_was_committed_with_its_removal() -> None:
    async def scenario(machine: Machine) -> None:
        removed = machine.client(user_sid(SERVICE.sid, "bob"))
        removed.asks("establish", MESSAGES)
        await machine.settled()
        machine.table._on_changes = lambda _: machine.hub.changed([removal("removal", "bob")])
        machine.hub.changed([change("before")])
        # The next line opens a unit of work. The line after that makes the hub work before the unit is committed.
        machine.table.transact([Put({"pk": "change#1", "sk": "change"})])
        machine.hub._work_when_committed()
        await machine.settled()
        assert removed.notifications == [("subscription_established", MESSAGES.sid)]

    run(scenario)


def test_subscription_that_cannot_be_read_disconnects_only_its_client(caplog: pytest.LogCaptureFixture) -> None:
    async def scenario(machine: Machine) -> None:
        failing, other = machine.client(), machine.client()
        machine.feed.problems = [ValueError("unreadable")]
        failing.asks("establish", MESSAGES)
        other.asks("establish", MESSAGES)
        await machine.settled()
        assert (failing.cut, other.cut) == (True, False)
        assert other.notifications == [("subscription_established", MESSAGES.sid)]
        assert "a chat client is disconnected" in caplog.text

    run(scenario)


def test_number_of_waiting_subscriptions_is_limited(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("convoke.embedded.chat.hub.MAX_SUBSCRIPTIONS", 2)

    async def scenario(machine: Machine) -> None:
        client, other = machine.client(), machine.client()
        client.asks("establish", MESSAGES, ROSTER)
        with pytest.raises(UnavailableError):
            client.asks("cancel", MESSAGES)
        other.asks("establish", MESSAGES)
        await machine.settled()
        client.asks("cancel", MESSAGES, ROSTER)
        await machine.settled()
        assert [name for name, _ in client.notifications] == 2 * ["subscription_established"] + 2 * [
            "subscription_canceled"
        ]

    run(scenario)


def test_members_are_read_once_for_each_change() -> None:
    async def scenario(machine: Machine) -> None:
        maps = [SyncObject(ObjectKind.CHANNELS, user_sid(SERVICE.sid, f"user {number}")) for number in range(3)]
        reads = []

        def touches(change: Change) -> list[Touch]:
            reads.append(change.sid)
            return [Touch(each, Action.UPDATED, CONVERSATION_SID) for each in maps]

        machine.feed.touches = touches  # type: ignore[method-assign]
        clients = [machine.client(each.owner_sid) for each in maps]
        for client, each in zip(clients, maps, strict=True):
            client.asks("establish", each)
        await machine.settled()
        machine.hub.changed([change("visible")])
        await machine.settled()
        assert [client.notifications[-1] for client in clients] == 3 * [("map_item_added", "visible")]
        assert reads == ["visible"]

    run(scenario)


def test_clients_see_only_committed_data() -> None:
    async def scenario(machine: Machine) -> None:
        client = machine.client()
        client.asks("establish", MESSAGES)
        await machine.settled()
        machine.hub.changed([change("committed")])
        # In every tick, a request has an uncommitted write. The hub must not read before the commit.
        for _ in range(3):
            machine.table.transact([Put({"pk": "a", "sk": "b"})])
            await asyncio.sleep(0)
        await machine.settled()
        assert client.notifications[-1] == ("list_item_added", "committed")

    run(scenario)


def test_hub_goes_on_after_a_locked_data_file() -> None:
    async def scenario(machine: Machine) -> None:
        client = machine.client()
        machine.feed.problems = [RunAgainError(), RunAgainError()]
        client.asks("establish", MESSAGES)
        machine.hub.changed([change("later")])
        await machine.settled()
        assert client.notifications == [("subscription_established", MESSAGES.sid), ("list_item_added", "later")]

    run(scenario)


def test_clients_are_disconnected_if_events_cannot_be_read(caplog: pytest.LogCaptureFixture) -> None:
    async def scenario(machine: Machine) -> None:
        client = machine.client()
        client.asks("establish", MESSAGES)
        await machine.settled()
        machine.feed.problems = [ValueError("unreadable")]
        machine.hub.changed([change("later")])
        await machine.settled()
        assert client.cut
        assert "chat clients are disconnected" in caplog.text

    run(scenario)


def test_client_that_reads_too_slowly_is_cut_and_others_are_not() -> None:
    async def scenario(machine: Machine) -> None:
        slow, quick = machine.client(), machine.client()
        for client in (slow, quick):
            client.asks("establish", MESSAGES)
        await machine.settled()
        slow.reading.clear()
        long = "x" * (limits.MAX_UNSENT_BYTES // 10)
        for number in range(15):
            machine.hub.changed([change(f"{number} {long}")])
            await machine.settled()
        assert (slow.cut, quick.cut) == (True, False)
        assert len(quick.notifications) == 16

    run(scenario)


def test_client_that_does_not_read_its_last_frame_is_cut(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("convoke.embedded.chat.connection.CLOSE_TIMEOUT_SECONDS", 0.05)

    async def scenario(machine: Machine) -> None:
        silent, reading = machine.client(), machine.client()
        silent.reading.clear()
        for client in (silent, reading):
            client.connection.refuse(AccessTokenExpiredError())
        await asyncio.sleep(0.1)
        assert (silent.cut, reading.cut, reading.closed) == (True, False, True)

    run(scenario)


def test_connection_whose_frame_cannot_be_sent_is_closing_and_waits_for_nothing() -> None:
    async def scenario(_: Machine) -> None:
        async def fail(message: Message) -> None:
            raise ConnectionResetError

        connection = Connection(fail, lambda: None)
        connection.send(b"frame")
        with pytest.raises(ConnectionResetError):
            await connection.write()
        assert connection.is_closing
        connection.finish()
        assert connection._deadline is None

    run(scenario)


def test_other_members_are_notified_of_typing() -> None:
    async def scenario(machine: Machine) -> None:
        typing, other, stranger = machine.client("US1"), machine.client("US2"), machine.client("US3")
        for client in (typing, other):
            client.asks("establish", ROSTER)
        await machine.settled()
        machine.hub.typing(CONVERSATION_SID, "alice", "US1")
        await machine.settled()
        assert other.frames[-1]["message_type"] == "twilio.ipmsg.typing_indicator"
        assert other.frames[-1]["payload"] == {
            "channel_sid": CONVERSATION_SID,
            "identity": "alice",
            "typing_timeout": 6,
        }
        assert (len(typing.frames), len(stranger.frames)) == (1, 0)

    run(scenario)


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"action": "drop", "requests": []},
        {"action": "establish"},
        {"action": "establish", "requests": ["ET1"]},
        {"action": "establish", "requests": [{"object_sid": 1, "object_type": "list"}]},
        {"action": "establish", "requests": [], "correlation_id": [1]},
        {"action": "establish", "requests": [{}] * (limits.MAX_SUBSCRIPTIONS_PER_CALL + 1)},
    ],
)
def test_invalid_call_is_refused(body: dict[str, Any]) -> None:
    async def scenario(machine: Machine) -> None:
        with pytest.raises(InvalidParameterError):
            machine.hub.subscribe(machine.client().chat_client, call(body))

    run(scenario)


def test_client_gets_only_the_last_event_of_a_document() -> None:
    async def scenario(machine: Machine) -> None:
        machine.feed.touched = DOCUMENT
        client = machine.client()
        client.asks("establish", DOCUMENT)
        await machine.settled()
        machine.hub.changed([change(f"change {number}") for number in range(5)])
        await machine.settled()
        assert client.notifications[1:] == [("document_updated", "change 4")]

    run(scenario)


def test_subscriptions_end_with_their_object() -> None:
    async def scenario(machine: Machine) -> None:
        client = machine.client()
        client.asks("establish", MESSAGES)
        await machine.settled()
        gone = SyncEvent(MESSAGES, Action.REMOVED, None, 9)
        machine.feed.events = lambda change, touches: [gone]  # type: ignore[method-assign]
        machine.hub.changed([change("removal")])
        await machine.settled()
        assert client.frames[-1]["payload"]["event_type"] == "list_removed"
        assert client.frames[-1]["payload"]["events"][0]["list_sid"] == MESSAGES.sid
        assert not machine.hub.has_subscribers

    run(scenario)


def test_number_of_subscriptions_is_limited(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("convoke.embedded.chat.hub.MAX_SUBSCRIPTIONS", 1)

    async def scenario(machine: Machine) -> None:
        client = machine.client()
        for each in (MESSAGES, ROSTER):
            client.asks("establish", each)
            await machine.settled()
        assert client.notifications == [("subscription_established", MESSAGES.sid), ("subscription_failed", ROSTER.sid)]

    run(scenario)


def test_many_subscriptions_do_not_block_the_event_loop() -> None:
    async def scenario(machine: Machine) -> None:
        objects = [SyncObject(ObjectKind.MESSAGES, f"CH{number:032}") for number in range(200)]

        def replay(session: ChatSession, sync_object: SyncObject, since: int | None) -> Replay:
            time.sleep(0.001)
            return NOTHING_MISSED

        machine.feed.replay = replay  # type: ignore[method-assign]
        machine.client().asks("establish", *objects)
        longest, last = 0.0, time.monotonic()
        while machine.hub._work:
            await asyncio.sleep(0)
            longest, last = max(longest, time.monotonic() - last), time.monotonic()
        assert longest < 0.15

    run(scenario)


def test_calls_are_read_at_the_permitted_rate() -> None:
    rate = CallRate(0.0)
    assert [rate.pause(0.0) for _ in range(limits.MAX_CALLS_AT_ONCE)] == [0.0] * limits.MAX_CALLS_AT_ONCE
    assert rate.pause(0.0) == pytest.approx(1 / limits.MAX_CALLS_PER_SECOND)
    assert rate.pause(1.0) == 0.0
    # Even after a long pause, at most MAX_CALLS_AT_ONCE calls are read without a pause between them.
    assert [rate.pause(1e6) for _ in range(limits.MAX_CALLS_AT_ONCE)][-1] == 0.0
    assert rate.pause(1e6) > 0


def test_client_is_pinged_and_warned_once() -> None:
    async def scenario(machine: Machine) -> None:
        client = machine.client()
        expiry = (NOW + timedelta(hours=1)).timestamp()
        client.chat_client.session = client.chat_client.session._replace(expires_at=NOW + timedelta(hours=1))
        for now in (1.0, limits.PING_SECONDS, limits.PING_SECONDS + 1):
            client.chat_client.tick(now, expiry - limits.EXPIRY_WARNING_SECONDS + now / 100)
        await asyncio.sleep(0.01)
        assert [frame["method"] for frame in client.frames] == ["client_update", "ping"]
        client.chat_client.tick(50.0, expiry)
        await asyncio.sleep(0.01)
        assert (client.frames[-1]["method"], client.frames[-1]["status"]["code"]) == ("close", 410)
        assert client.closed

    run(scenario)


def test_hub_goes_on_after_a_dropped_unit() -> None:
    async def scenario(machine: Machine) -> None:
        client = machine.client()
        client.asks("establish", MESSAGES)
        await machine.settled()
        machine.hub.changed([change("committed")])
        machine.table.transact([Put({"pk": "a", "sk": "b"})])
        # The hub waits for the commit of the open unit of work. The next line makes the event loop drop the unit.
        asyncio.get_running_loop().call_soon(machine.table._abandon, UnavailableError())
        machine.hub._work_when_committed()
        await machine.settled()
        assert client.notifications[-1] == ("list_item_added", "committed")

    run(scenario)


def test_client_that_left_before_its_subscription_is_forgotten() -> None:
    async def scenario(machine: Machine) -> None:
        client = machine.client()
        client.asks("establish", MESSAGES)
        machine.hub.leave(client.chat_client)
        client.connection.finish()
        await machine.settled()
        assert not machine.hub.has_subscribers
        assert machine.hub._by_user == {}

    run(scenario)


def test_user_who_reconnects_in_time_stays_online(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("convoke.embedded.chat.presence.OFFLINE_GRACE_SECONDS", 0.02)

    async def scenario() -> None:
        problems: list[Any] = []
        asyncio.get_running_loop().set_exception_handler(lambda _, context: problems.append(context))
        users, changes = ConnectedUsers(), list[bool]()
        users.on_change = lambda session: changes.append(users.is_online(session.user_sid))
        session = ChatSession(ACCOUNT, SERVICE, "alice", "US1", "SK1", NOW)
        users.arrived(session)
        users.arrived(session)
        users.left(session)
        users.left(session)
        users.arrived(session)
        await asyncio.sleep(0.05)
        assert changes == [True]
        users.left(session)
        await asyncio.sleep(0.05)
        assert changes == [True, False]
        assert problems == []

    asyncio.run(scenario())
