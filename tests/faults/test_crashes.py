"""The process dies before or after any call to the outside; another one takes over, and the outcome is the same."""

from __future__ import annotations

from contextlib import suppress
from functools import partial
from itertools import count
from pathlib import Path
from typing import Any

import pytest

from convoke.domain.connections import DEFAULT_RETRIES
from convoke.domain.errors import InvalidRoleSidError
from convoke.domain.participants import Participant
from convoke.domain.provisioning import Provisioning
from tests.support.crashes import (
    PARTICIPANTS,
    PROXY,
    DiedError,
    Fuse,
    crash_points,
    fused,
    recover,
    told_kinds,
)
from tests.support.examples import chat
from tests.support.instances import Answer, Instance, held_instance


def refuse(provisioning: Provisioning, participant: Participant) -> None:
    raise InvalidRoleSidError


@pytest.mark.parametrize("ending", ["active", "closed"])
def test_whenever_it_dies_the_conversation_ends_once_and_everything_is_told(tmp_path: Path, ending: str) -> None:
    points = 0
    edges: dict[str, Any] = {"admit": refuse} if ending == "closed" else {}
    for heir in crash_points(tmp_path, **edges):
        points += 1
        check(heir, ending)
    assert points > 20


def ask(instance: Instance) -> Answer:
    data = {"UniqueName": "visit", "Participant": PARTICIPANTS}
    return instance.call("POST", "/v1/ConversationWithParticipants", data, {"Idempotency-Key": "1"})


def test_whenever_it_dies_who_asks_again_under_the_same_key_gets_one_conversation(tmp_path: Path) -> None:
    created = replayed = 0
    for after in (False, True):
        for point in count(1):
            path, fuse = str(tmp_path / f"{point}-{after}.db"), Fuse(point, after=after)
            with held_instance(path, partial(fused, fuse)) as doomed:
                fuse.armed = True
                with suppress(DiedError):
                    ask(doomed)
            if fuse.calls < point:
                break
            with held_instance(path) as heir:
                again = ask(heir)
                replayed += "Idempotent-Replayed" in again.headers
                created += "Idempotent-Replayed" not in again.headers
                recover(heir)
                (conversation,) = heir.items("conversation")
                assert (again.status, again.body["sid"]) == (202, conversation["sid"])
                assert (again.body["state"], conversation["state"]) == ("initializing", "active")
                assert ask(heir).text == again.text
    assert created > 2
    assert replayed > 2


def check(heir: Instance, ending: str) -> None:
    conversations = heir.items("conversation")
    if not conversations:
        assert [kind for kind in ("provisioning", "lock", "change", "alert", "participant#") if heir.items(kind)] == []
        return
    (conversation,) = conversations
    (record,) = heir.items("provisioning")
    members = heir.items("participant#")
    kinds = told_kinds(heir)
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
        assert kinds == ["com.twilio.error-logs.error.logged", "onConversationAdded", "onConversationStateUpdated"]
        assert heir.items("lock") == heir.items(PROXY) == []
        assert [alert["code"] for alert in heir.items("alert")] == [50427]


def test_whenever_it_dies_a_webhook_that_is_given_up_is_logged_once_and_told(tmp_path: Path) -> None:
    def refused(instance: Instance) -> None:
        create = instance.client().conversations.v1.conversation_with_participants.create
        create(participant=chat(1), x_twilio_webhook_enabled="true")
        instance.work()
        for _ in range(DEFAULT_RETRIES + 1):
            instance.forget_pauses()
            instance.work()

    logged = 0
    for heir in crash_points(tmp_path, lives=refused, answers=[403]):
        alerts = heir.items("alert")
        logged += len(alerts)
        assert [alert["code"] for alert in alerts] in ([], [50057])
        assert told_kinds(heir).count("com.twilio.error-logs.error.logged") == len(alerts)
        assert heir.waiting_messages("delivery") == 0
    assert logged > 20
