"""End the process before and after every call to an edge, restart the process, and let the new process recover.

An edge is a port to the outside: the table, a queue, the workflow, the bus, the webhook client.
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
"""The beginning of the sort key of a pair lock. Each scenario has only one pair lock."""

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
"""A function that makes the requests and does the background work of a process."""

CRASH_POINTS: Counter[str] = Counter()
"""How many crash points each test tried."""

EDGES = ("table", "participant_queue", "workflow", "event_bus", "delivery_queue", "webhook_client")
"""The names of the edges. The process ends before or after a call to one of these edges."""


INSIDE_A_COMMIT = ("_write_pending", "_store", "_announce")
"""Methods of the table that run inside a commit. The process also ends before or after such a call."""


class ProcessCrashError(BaseException):
    """Simulates the end of the process. The base class is not Exception, so the product does not catch the error."""


class CrashSwitch:
    """Counts the guarded calls while `armed` is true, and raises an error before or after call number `crash_at`."""

    def __init__(self, crash_at: int, *, after: bool) -> None:
        self.armed = False
        self.calls = 0
        self._crash_at = crash_at
        self._after = after

    def guard(self, verb: Callable[..., Any]) -> Callable[..., Any]:
        def guarded(*arguments: Any, **options: Any) -> Any:
            self.calls += self.armed
            past = self.calls - self._crash_at
            # Every later call also fails, because a crashed process does nothing more.
            if self.armed and (past > 0 or (past == 0 and not self._after)):
                raise ProcessCrashError
            result = verb(*arguments, **options)
            if self.armed and past == 0:
                raise ProcessCrashError
            return result

        return guarded


class CrashingEdge:
    """An edge in which every call can end the process."""

    def __init__(self, edge: object, switch: CrashSwitch) -> None:
        self._edge = edge
        self._switch = switch

    def __getattr__(self, name: str) -> Any:
        return self._switch.guard(getattr(self._edge, name))


def crashing_edges(switch: CrashSwitch, edges: EmbeddedEdges) -> EmbeddedEdges:
    guarded = {name: CrashingEdge(getattr(edges, name), switch) for name in EDGES}
    return replace(edges, **guarded)  # type: ignore[arg-type]


def create_conversation(instance: Instance) -> None:
    create = instance.client().conversations.v1.conversation_with_participants.create
    create(unique_name="visit", participant=PARTICIPANTS, x_twilio_webhook_enabled="true")


def create_until_active(instance: Instance) -> None:
    """Create a conversation and do all pending work, including the deliveries to webhooks."""
    create_conversation(instance)
    instance.work()


def recover(instance: Instance) -> None:
    """Sweep and do all pending work, as another process would do when the next attempt is due."""
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
    """Crash `scenario` before and after each call to an edge. Yield the recovered instance after each crash.

    `prepare` runs before the scenario, without a crash. `after_restart` runs after the crash and before the recovery.
    `statuses` are the first responses of the webhook receivers.
    """
    prepared, posted = str(data / "prepared.db"), list[Delivery]()
    for after in (False, True):
        for point in count(1):
            path = str(data / f"{point}-{after}.db")
            # If a test passes a clock, each scenario moves the clock. Therefore the data must be prepared again.
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
    """Create the data file from which each scenario starts. Return the webhook deliveries of the preparation."""
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
    """Return the type of each event that was delivered. An event that was delivered several times appears once."""
    types = {delivery.event.id: str(delivery.event.type) for delivery in restarted.receivers.posted}
    return sorted(types.values())
