"""Simulate a crash before and after every call to an edge, then start a new instance that recovers.

An edge is a port to the outside, for example the table, a queue or the webhook client.
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import replace
from datetime import timedelta
from functools import partial
from itertools import count
from pathlib import Path
from shutil import copy
from typing import Any

from convoke.domain.webhooks import Delivery
from convoke.embedded.engine import EmbeddedEdges
from tests.support.examples import CHAT_AND_SMS, chat
from tests.support.instances import EmbeddedInstance, Instance, held_instance

PROXY = "+1501"
"""In the scenarios, the sort key of every lock of an address pair begins with these characters."""

PARTICIPANTS = [*chat(8), CHAT_AND_SMS[0], CHAT_AND_SMS[1]]

NOTIFIED_EVENT_TYPES = [
    "onConversationAdded",
    "onConversationUpdated",
    "onConversationStateUpdated",
    "onConversationRemoved",
    "onParticipantAdded",
    "onMessageAdded",
    "onParticipantRemoved",
]

Scenario = Callable[[Instance], None]
"""A function that sends requests to an instance. It can also run the instance's background work."""

CRASH_POINTS: Counter[str] = Counter()
"""Maps each test to the number of crashes that the test simulated."""

EDGES = ("table", "participant_queue", "workflow", "event_bus", "delivery_queue", "copy_queue", "webhook_client")
"""The names of edges to which a call can crash.

A call to a carrier or to the media store can crash too. `crashing_edges` wraps these edges separately.
"""


INSIDE_A_COMMIT = ("_write_pending", "_store", "_announce")
"""Methods of the table that run inside a commit. Calls of these methods can crash too."""


class ProcessCrashError(BaseException):
    """Simulates the end of the process.

    Convoke catches Exception. Therefore this class extends BaseException.
    """


class CrashSwitch:
    """Counts the guarded calls while `armed` is true, and simulates a crash at call number `crash_at`.

    If `after` is true, the call does its work before the crash.
    """

    def __init__(self, crash_at: int, *, after: bool) -> None:
        self.armed = False
        self.calls = 0
        self._crash_at = crash_at
        self._after = after

    def guard(self, verb: Callable[..., Any]) -> Callable[..., Any]:
        def guarded(*arguments: Any, **options: Any) -> Any:
            self.calls += self.armed
            past = self.calls - self._crash_at
            # A crashed process does nothing more. Therefore every call after the crash fails too.
            if self.armed and (past > 0 or (past == 0 and not self._after)):
                raise ProcessCrashError
            result = verb(*arguments, **options)
            if self.armed and past == 0:
                raise ProcessCrashError
            return result

        return guarded


class CrashingEdge:
    """Wraps an edge so that every call to the edge can crash."""

    def __init__(self, edge: object, switch: CrashSwitch) -> None:
        self._edge = edge
        self._switch = switch

    def __getattr__(self, name: str) -> Any:
        value = getattr(self._edge, name)
        return self._switch.guard(value) if callable(value) else value


class CrashingMediaStore(CrashingEdge):
    """Wraps the media store. Calls to the store's writers can also crash."""

    def writer(self, account_sid: str, media_sid: str) -> CrashingWriter:
        return CrashingWriter(self._edge.writer(account_sid, media_sid), self._switch)  # type: ignore[attr-defined]


class CrashingWriter(CrashingEdge):
    def __del__(self) -> None:
        # When a process crashes, the operating system closes the file. The written bytes stay in the file.
        if file := self._edge._file:  # type: ignore[attr-defined]
            file.close()


def crashing_edges(switch: CrashSwitch, edges: EmbeddedEdges) -> EmbeddedEdges:
    guarded: dict[str, Any] = {name: CrashingEdge(getattr(edges, name), switch) for name in EDGES}
    carriers: dict[Any, Any] = {provider: CrashingEdge(carrier, switch) for provider, carrier in edges.carriers.items()}
    store: Any = CrashingMediaStore(edges.media_store, switch)
    return replace(edges, media_store=store, carriers=carriers, **guarded)


def create_conversation(instance: Instance) -> None:
    create = instance.client().conversations.v1.conversation_with_participants.create
    create(unique_name="visit", participant=PARTICIPANTS, x_twilio_webhook_enabled="true")


def create_until_active(instance: Instance) -> None:
    """Create a conversation and do all pending work, including the webhook calls."""
    create_conversation(instance)
    instance.work()


def recover(instance: Instance) -> None:
    """Run the sweeper and all pending work three times.

    The sweeper of a real deployment would do this work when the next attempts are due.
    """
    for _ in range(3):
        instance.sweep(timedelta(hours=1))
        instance.forget_pauses()
        instance.work()


def crash_points(
    data: Path,
    scenario: Scenario = create_until_active,
    prepare: Scenario = lambda instance: None,
    after_restart: Scenario = lambda instance: None,
    statuses: Sequence[int] = (),
    **edges: Any,
) -> Iterator[EmbeddedInstance]:
    """Run `scenario` twice for each guarded call. Crash one run before the call, and the other run after the call.

    Yield a recovered instance after each crash. The guarded calls are the calls to the edges, and the calls of the
    methods in INSIDE_A_COMMIT.

    `prepare` runs before the scenario and does not crash. `after_restart` runs after the crash and before the recovery.
    The first webhook calls receive the responses `statuses`. Each further keyword argument replaces the edge with that
    name.
    """
    prepared, posted = str(data / "prepared.db"), list[Delivery]()
    for after in (False, True):
        for point in count(1):
            path = str(data / f"{point}-{after}.db")
            # If the test passes a clock, the previous run has moved the clock. Therefore each run needs new data.
            if "now" in edges or not Path(prepared).exists():
                posted = _prepare(prepared, prepare, edges)
            copy(prepared, path)
            switch = CrashSwitch(point, after=after)
            with held_instance(path, partial(crashing_edges, switch), **edges) as crashing:
                for part in (crashing.engine.steps, crashing.engine.queue):
                    object.__setattr__(part, "table", CrashingEdge(part.table, switch))
                for name in INSIDE_A_COMMIT:
                    setattr(crashing.engine.table, name, switch.guard(getattr(crashing.engine.table, name)))
                crashing.receivers.statuses = [*statuses]
                switch.armed = True
                with suppress(ProcessCrashError):
                    scenario(crashing)
            if switch.calls < point:
                break
            with held_instance(path, **edges) as restarted:
                restarted.receivers.statuses = [*crashing.receivers.statuses]
                after_restart(restarted)
                recover(restarted)
                restarted.receivers.posted[:0] = [*posted, *crashing.receivers.posted]
                CRASH_POINTS[os.environ["PYTEST_CURRENT_TEST"].rpartition(" ")[0]] += 1
                yield restarted


def _prepare(path: str, prepare: Scenario, edges: dict[str, Any]) -> list[Delivery]:
    """Create the data file with which a run starts.

    Return the webhook deliveries that the preparation caused.
    """
    Path(path).unlink(missing_ok=True)
    with held_instance(path, **edges) as prepared:
        prepared.client().conversations.v1.configuration.webhooks().update(
            post_webhook_url="https://hooks.example.com/",
            filters=NOTIFIED_EVENT_TYPES,
        )
        prepared.call("POST", "/convoke/v1/Configuration", {"ErrorLogUrl": "https://hooks.example.com/log"})
        prepare(prepared)
    return prepared.receivers.posted


def notified_event_types(restarted: Instance) -> list[str]:
    """Return the event types of all webhook calls. An event that was sent several times counts once."""
    types = {delivery.event.id: str(delivery.event.type) for delivery in restarted.receivers.posted}
    return sorted(types.values())
