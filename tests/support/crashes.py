"""The process dies before or after any call to the outside, and another one takes over."""

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
"""How the sort key of the one pair lock begins."""

PARTICIPANTS = [*chat(8), CHAT_AND_SMS[0], CHAT_AND_SMS[1]]

TOLD = [
    "onConversationAdded",
    "onConversationUpdated",
    "onConversationStateUpdated",
    "onConversationRemoved",
    "onParticipantAdded",
    "onMessageAdded",
    "onParticipantRemoved",
]

Life = Callable[[Instance], None]
"""What a process does until it dies."""

TRIED: Counter[str] = Counter()
"""How many crash points there were, by the test that tried them."""

OUTSIDE = ("table", "participant_queue", "workflow", "event_bus", "delivery_queue", "webhook_client")
"""The edges whose every call is a place to die at."""


class DiedError(BaseException):
    """The end of the process: nothing catches it."""


class Fuse:
    """Once it is armed it counts the calls to the outside, and ends the process before or after one of them."""

    def __init__(self, blows_at: int, *, after: bool) -> None:
        self.armed = False
        self.calls = 0
        self._blows_at = blows_at
        self._after = after

    def guard(self, verb: Callable[..., Any]) -> Callable[..., Any]:
        def guarded(*arguments: Any, **options: Any) -> Any:
            self.calls += self.armed
            past = self.calls - self._blows_at
            if self.armed and (past > 0 or (past == 0 and not self._after)):
                raise DiedError
            result = verb(*arguments, **options)
            if self.armed and past == 0:
                raise DiedError
            return result

        return guarded


class Fused:
    """An edge behind a fuse."""

    def __init__(self, edge: object, fuse: Fuse) -> None:
        self._edge = edge
        self._fuse = fuse

    def __getattr__(self, name: str) -> Any:
        return self._fuse.guard(getattr(self._edge, name))


def fused(fuse: Fuse, edges: EmbeddedEdges) -> EmbeddedEdges:
    guarded = {name: Fused(getattr(edges, name), fuse) for name in OUTSIDE}
    return replace(edges, **guarded)  # type: ignore[arg-type]


def creates(instance: Instance) -> None:
    create = instance.client().conversations.v1.conversation_with_participants.create
    create(unique_name="visit", participant=PARTICIPANTS, x_twilio_webhook_enabled="true")


def comes_alive(instance: Instance) -> None:
    """The life of a conversation until nothing is left to do, from the request to the delivered webhook."""
    creates(instance)
    instance.work()


def recover(instance: Instance) -> None:
    """What another process does, once the time has come."""
    for _ in range(3):
        instance.sweep(timedelta(hours=1))
        instance.forget_pauses()
        instance.work()


def crash_points(
    data: Path,
    lives: Life = comes_alive,
    before: Life = lambda instance: None,
    takes_over: Life = lambda instance: None,
    answers: Sequence[int] = (),
    **edges: Any,
) -> Iterator[EmbeddedInstance]:
    """For every call to the outside in a life, before and after it: what another process makes of it.

    `answers` are what receivers answer first.
    """
    prepared, posted = str(data / "prepared.db"), list[Delivery]()
    for after in (False, True):
        for point in count(1):
            path = str(data / f"{point}-{after}.db")
            if "now" in edges or not Path(prepared).exists():
                posted = _prepare(prepared, before, edges)
            copy(prepared, path)
            fuse = Fuse(point, after=after)
            with held_instance(path, partial(fused, fuse), **edges) as doomed:
                for part in (doomed.engine._steps, doomed.engine._queue):
                    object.__setattr__(part, "table", Fused(part.table, fuse))
                doomed.receivers.statuses = [*answers]
                fuse.armed = True
                with suppress(DiedError):
                    lives(doomed)
            if fuse.calls < point:
                break
            with held_instance(path, **edges) as heir:
                heir.receivers.statuses = [*doomed.receivers.statuses]
                takes_over(heir)
                recover(heir)
                heir.receivers.posted[:0] = [*posted, *doomed.receivers.posted]
                TRIED[os.environ["PYTEST_CURRENT_TEST"].rpartition(" ")[0]] += 1
                yield heir


def _prepare(path: str, before: Life, edges: dict[str, Any]) -> list[Delivery]:
    """Once for all points, but where a clock has moved on. Answers what receivers were told meanwhile."""
    Path(path).unlink(missing_ok=True)
    with held_instance(path, **edges) as prepared:
        prepared.client().conversations.v1.configuration.webhooks().update(
            post_webhook_url="https://hooks.example.com/",
            filters=TOLD,
        )
        prepared.call("POST", "/convoke/v1/Configuration", {"ErrorLogUrl": "https://hooks.example.com/log"})
        before(prepared)
    return prepared.receivers.posted


def notified_event_types(heir: Instance) -> list[str]:
    """The types of all that webhooks were told; what they were told twice has the same id."""
    told = {delivery.event.id: str(delivery.event.type) for delivery in heir.receivers.posted}
    return sorted(told.values())
