"""After any sequence of lost connections, a chat client has the current state of its Sync objects.

The client in this test behaves like the official SDK. The client stores the last event id of each item, and drops
events with the same or a smaller id. After a lost connection, the client subscribes to each object again, from the
greatest event id that it has received for the object.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from itertools import count
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from convoke.api.chat.acting import sync_of
from convoke.domain.events import Change
from convoke.domain.services import Service
from convoke.domain.sids import Prefix
from convoke.domain.sync_objects import Action, ObjectKind, ObjectType, SyncObject
from convoke.operations import sync
from convoke.operations.sync import ItemsRequest, SyncEvent, SyncOperations
from convoke.storage.events import change_of
from convoke.storage.table import Item
from tests.support.instances import EmbeddedInstance, held_instance
from tests.support.manual_clock import ManualClock
from tests.support.sids import Sids

WATCHER = "zoe"
"""The identity of the client. The client's User never leaves the main conversation."""

OWN = ("lastConsumedMessageIndex", "notificationLevel", "status")
"""The keys that the test compares in the items of the Sync map of conversations.

These keys contain data about the User. The other keys contain data about the conversation. The test compares the data
about the conversation in the Sync document of the conversation.
"""


class ClockedSids(Sids):
    """Creates SIDs from a manual clock. Each SID is greater than the previous SID, as in a real process."""

    def __init__(self, clock: ManualClock) -> None:
        self.clock = clock
        self._last = 0

    def __call__(self, prefix: Prefix) -> str:
        self._last = max(self._last + 1, int(self.clock.now().timestamp() * 1000) << 16)
        return f"{prefix}{self._last:016x}{os.urandom(8).hex()}"


@dataclass
class Subscription:
    """The state of one Sync object, as the client knows it."""

    object: SyncObject
    since: int = 0
    items: dict[str, tuple[int, Any]] = field(default_factory=dict)
    """Maps each key to the last event id and the data. The data of a removed item is None."""
    is_established: bool = False

    def apply(self, event: SyncEvent) -> None:
        self.since = max(self.since, event.event_id)
        key = event.key or ""
        known, _ = self.items.get(key, (0, None))
        if event.event_id > known:
            self.items[key] = (event.event_id, None if event.action is Action.REMOVED else event.data)

    @property
    def present(self) -> dict[str, Any]:
        return {key: data for key, (_, data) in self.items.items() if data is not None}


@dataclass
class World:
    """An instance with a conversation, and a client that watches Sync objects.

    The client watches objects of the conversation, and the map of conversations of the client's User.
    """

    instance: EmbeddedInstance
    clock: ManualClock
    sync: SyncOperations
    service: Service
    conversation_sid: str
    watched: list[Subscription] = field(default_factory=list)
    waiting: list[Change] = field(default_factory=list)
    """The changes whose events the client has not received yet."""
    seen: list[Change] = field(default_factory=list)
    names: Iterator[int] = field(default_factory=count)

    def committed(self, items: Sequence[Item]) -> None:
        changes = [change_of(item) for item in items]
        self.waiting += changes
        self.seen += changes

    def deliver(self, changes: int) -> None:
        """Send the events of the oldest waiting changes to the client. `changes` is the number of these changes."""
        for change in self.waiting[:changes]:
            touches = [*self.sync.touches(change)]
            for subscription in self.watched:
                if subscription.is_established:
                    touching = [touch for touch in touches if touch.object == subscription.object]
                    for event in self.sync.events(change, touching):
                        subscription.apply(event)
        del self.waiting[:changes]

    def cut(self) -> None:
        """Cut the connection. The client never receives the events that are waiting."""
        self.waiting.clear()
        for subscription in self.watched:
            subscription.is_established = False

    def connect(self, received: int) -> None:
        """Connect the client again, and cut the new connection after `received` replayed events.

        If the replays contain no more than `received` events, the connection stays open.
        """
        self.cut()
        for subscription in self.watched:
            while not subscription.is_established:
                replay = self.sync.replay(self.service, WATCHER, subscription.object, subscription.since)
                for event in replay.events[:received]:
                    subscription.apply(event)
                received -= len(replay.events)
                if received < 0:
                    self.cut()
                    return
                subscription.is_established = replay.is_complete

    def state(self, sync_object: SyncObject) -> dict[str, Any]:
        """Read and return the current data of a Sync object, page by page."""
        if sync_object.kind.type is ObjectType.DOCUMENT:
            return {"": self.sync.root(self.service, WATCHER, sync_object).data}
        found: dict[str, Any] = {}
        start: str | None = None
        while True:
            page = self.sync.items(self.service, WATCHER, sync_object, ItemsRequest(3, start=start))
            found |= {item.key: item.data for item in page.items}
            if page.next is None:
                return found
            start = page.next

    def read_all(self) -> None:
        for kind in (ObjectKind.CHANNEL, ObjectKind.MESSAGES, ObjectKind.ROSTER):
            self.watched.append(Subscription(SyncObject(kind, self.conversation_sid)))
        self.watched.append(Subscription(self.sync.find(self.service, f"{WATCHER}.channels")))
        for subscription in self.watched:
            root = self.sync.root(self.service, WATCHER, subscription.object)
            subscription.since = root.event_id
            subscription.items = {key: (0, data) for key, data in self.state(subscription.object).items()}
            subscription.is_established = True

    @property
    def v1(self) -> Any:
        return self.instance.client().conversations.v1

    @property
    def conversation(self) -> Any:
        return self.v1.conversations(self.conversation_sid)


def compared(subscription: Subscription, state: dict[str, Any]) -> dict[str, Any]:
    if subscription.object.kind is ObjectKind.CHANNELS:
        return {key: {name: data[name] for name in OWN} for key, data in state.items()}
    return {key: {**data, "dateUpdated": None} if "state" in data else data for key, data in state.items()}


@contextmanager
def world() -> Iterator[World]:
    clock = ManualClock()
    # The manual clock is ahead of the machine's clock. Therefore the machine's clock does not affect the event ids.
    clock.move(timedelta(days=1))
    with held_instance(now=clock.now, new_sid=ClockedSids(clock)) as instance:
        operations = instance.engine.program
        service = operations.services.fetch(instance.account.sid, instance.account.default_chat_service_sid)
        v1 = instance.client().conversations.v1
        sid = v1.conversations.create(friendly_name="watched").sid
        v1.conversations(sid).participants.create(identity=WATCHER)
        made = World(instance, clock, sync_of(operations), service, sid)
        for number in range(3):
            be_invited(made, number)
            clock.move(timedelta(minutes=1))
        made.read_all()
        instance.engine.table._on_changes = made.committed
        yield made


def send(world: World, number: int) -> None:
    for _ in range(1 + number % 5):
        world.conversation.messages.create(author="bob", body=f"body {next(world.names)}")


def edit(world: World, number: int) -> None:
    if messages := world.conversation.messages.list():
        messages[number % len(messages)].update(body=f"edited {next(world.names)}")


def delete(world: World, number: int) -> None:
    if messages := world.conversation.messages.list():
        messages[number % len(messages)].delete()


def join(world: World, _: int) -> None:
    world.conversation.participants.create(identity=f"member {next(world.names)}")


def leave(world: World, number: int) -> None:
    others = [each for each in world.conversation.participants.list() if each.identity != WATCHER]
    if others:
        others[number % len(others)].delete()


def read(world: World, number: int) -> None:
    members = world.conversation.participants.list()
    members[number % len(members)].update(last_read_message_index=number)


def mute(world: World, number: int) -> None:
    user = world.sync.find(world.service, f"{WATCHER}.channels").owner_sid
    conversations = world.v1.users(user).user_conversations
    level = "muted" if number % 2 else "default"
    conversations(world.conversation_sid).update(notification_level=level)


def rename(world: World, number: int) -> None:
    world.conversation.update(friendly_name=f"name {number} {next(world.names)}")


def be_invited(world: World, number: int) -> None:
    """Add the client to another conversation.

    If `number` is odd, one request creates the conversation with its participants. Otherwise the client is added later.
    """
    if number % 2:
        world.v1.conversation_with_participants.create(participant=['{"identity": "zoe"}', '{"identity": "bob"}'])
        world.instance.work()
    else:
        sid = world.v1.conversations.create().sid
        world.v1.conversations(sid).participants.create(identity=WATCHER)


def other_conversation(world: World, number: int) -> Any:
    """Return another conversation of the client, or None if the client has no other conversation."""
    others = [sid for sid in world.state(world.watched[3].object) if sid != world.conversation_sid]
    return world.v1.conversations(others[number % len(others)]) if others else None


def be_removed(world: World, number: int) -> None:
    if conversation := other_conversation(world, number):
        conversation.participants(WATCHER).delete()


def be_removed_and_join_again(world: World, number: int) -> None:
    if conversation := other_conversation(world, number):
        conversation.participants(WATCHER).delete()
        conversation.participants.create(identity=WATCHER)


def lose_conversation(world: World, number: int) -> None:
    """Delete another conversation of the client. In some cases, also erase its items with a sweep."""
    if conversation := other_conversation(world, number):
        conversation.delete()
        world.deliver(len(world.waiting) * (number % 3))
        # In production, Convoke notifies the clients of a deletion long before the sweeper erases the items. Therefore
        # sweep only if no event is waiting.
        if number % 2 and not world.waiting:
            world.instance.sweep(timedelta(seconds=1))


def step_clock(world: World, number: int) -> None:
    world.clock.move(timedelta(seconds=number * (1 if number % 2 else -1)))


def deliver(world: World, number: int) -> None:
    world.deliver(number)


def cut(world: World, _: int) -> None:
    world.cut()


def connect(world: World, number: int) -> None:
    world.connect(number)


STEPS = [
    *(send, edit, delete, join, leave, read, mute, rename),
    *(be_invited, be_removed, be_removed_and_join_again, lose_conversation),
    *(step_clock, deliver, cut, cut, connect),
]


@given(steps=st.lists(st.tuples(st.sampled_from(STEPS), st.integers(0, 12)), min_size=10, max_size=25))
@settings(
    max_examples=40,
    deadline=None,
    # Do not shrink failures, because shrinking would take many minutes.
    phases=[Phase.explicit, Phase.reuse, Phase.generate],
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
def test_replay_after_any_cut_and_live_events_give_the_state(
    monkeypatch: pytest.MonkeyPatch, steps: list[tuple[Any, int]]
) -> None:
    monkeypatch.setattr(sync, "REPLAY_BATCH", 3)
    monkeypatch.setattr(sync, "RECENT_MESSAGES", 2)
    monkeypatch.setattr(sync, "MESSAGES_PER_READ", 2)
    # A replay starts REPLAY_MARGIN microseconds before the event id that the client requests. Normally, this margin
    # covers the clock differences between processes. Here, one process makes all changes. Therefore the margin must
    # cover only changes in the same millisecond.
    monkeypatch.setattr(sync, "REPLAY_MARGIN", 2_000)
    with world() as made:
        for step, number in steps:
            step(made, number)
            made.clock.move(timedelta(milliseconds=10 * number))
        made.deliver(len(made.waiting))
        made.connect(10**6)
        for subscription in made.watched:
            state = made.state(subscription.object)
            assert compared(subscription, subscription.present) == compared(subscription, state), subscription.object
        assert_event_ids_grow(made)


def assert_event_ids_grow(world: World) -> None:
    """Check that the event ids of each Sync item grow in the order of the commits."""
    last: dict[object, int] = {}
    for change in world.seen:
        for touch in change.touches:
            item = (touch.object, touch.key)
            assert change.last_event_id > last.get(item, 0), (change, last)
            last[item] = change.last_event_id
