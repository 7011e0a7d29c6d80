"""The process dies before or after any call to the outside; another one takes over, and the outcome is the same."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import replace
from datetime import timedelta
from functools import partial
from itertools import count
from pathlib import Path
from typing import Any

import pytest

from convoke.domain.errors import InvalidRoleSidError
from convoke.domain.participants import Participant
from convoke.domain.provisioning import Provisioning
from convoke.local.engine import LocalEdges
from tests.support.examples import CHAT_AND_SMS, chat
from tests.support.instances import EmbeddedInstance, Instance, held_instance

PROXY = "+1501"
"""How the sort key of the one pair lock begins."""

PARTICIPANTS = [*chat(8), CHAT_AND_SMS[0], CHAT_AND_SMS[1]]

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


def fused(fuse: Fuse, edges: LocalEdges) -> LocalEdges:
    guarded = {name: Fused(getattr(edges, name), fuse) for name in OUTSIDE}
    return replace(edges, **guarded)  # type: ignore[arg-type]


def refuse(provisioning: Provisioning, participant: Participant) -> None:
    raise InvalidRoleSidError


def lives(instance: Instance) -> None:
    """The whole life of a conversation, from the request to the delivered webhook."""
    create = instance.client().conversations.v1.conversation_with_participants.create
    create(unique_name="visit", participant=PARTICIPANTS, x_twilio_webhook_enabled="true")
    instance.work()


def recover(instance: Instance) -> None:
    """What another process does, once the time has come."""
    for _ in range(3):
        instance.sweep(timedelta(hours=1))
        instance.forget_pauses()
        instance.work()


def crash_points(data: Path, **edges: Any) -> Iterator[EmbeddedInstance]:
    """For every call to the outside, before and after it: what another process makes of it."""
    for after in (False, True):
        for point in count(1):
            path = str(data / f"{point}-{after}.db")
            with held_instance(path) as prepared:
                prepared.client().conversations.v1.configuration.webhooks().update(
                    post_webhook_url="https://hooks.example.com/",
                    filters=["onConversationStateUpdated", "onParticipantAdded", "onConversationAdded"],
                )
            fuse = Fuse(point, after=after)
            with held_instance(path, partial(fused, fuse), **edges) as doomed:
                for part in (doomed.engine._steps, doomed.engine._queue):
                    object.__setattr__(part, "table", Fused(part.table, fuse))
                fuse.armed = True
                with suppress(DiedError):
                    lives(doomed)
            if fuse.calls < point:
                break
            with held_instance(path, **edges) as heir:
                recover(heir)
                heir.receivers.posted[:0] = doomed.receivers.posted
                yield heir


@pytest.mark.parametrize("ending", ["active", "closed"])
def test_whenever_it_dies_the_conversation_ends_once_and_everything_is_told(
    tmp_path: Path, ending: str, capsys: pytest.CaptureFixture[str]
) -> None:
    points = 0
    edges = {"admit": refuse} if ending == "closed" else {}
    for heir in crash_points(tmp_path, **edges):
        points += 1
        check(heir, ending)
    with capsys.disabled():
        print(f"\n{points} crash points with the end {ending!r}")
    assert points > 20


def check(heir: Instance, ending: str) -> None:
    conversations = heir.items("conversation")
    if not conversations:
        assert [kind for kind in ("provisioning", "lock", "change", "alert", "participant#") if heir.items(kind)] == []
        return
    (conversation,) = conversations
    (record,) = heir.items("provisioning")
    members = heir.items("participant#")
    told = {delivery.event.id: delivery.event.payload["EventType"] for delivery in heir.receivers.posted}
    kinds = sorted(told.values())
    assert conversation["state"] == ending
    assert "due_at" not in conversation
    assert conversation["unsettled"] is False
    assert heir.waiting_messages("delivery") == heir.waiting_messages("delivery-dlq") == 0
    if ending == "active":
        assert record["status"] == "added"
        assert len(members) == len(PARTICIPANTS)
        assert kinds == ["onConversationAdded", "onConversationStateUpdated", *["onParticipantAdded"] * 10]
        assert (len(heir.items("lock")), len(heir.items(PROXY))) == (1, 1)
        assert heir.items("alert") == []
    else:
        assert record["status"] == "failed"
        assert members == []
        assert kinds == ["onConversationAdded", "onConversationStateUpdated"]
        assert heir.items("lock") == heir.items(PROXY) == []
        assert [alert["code"] for alert in heir.items("alert")] == [50427]
