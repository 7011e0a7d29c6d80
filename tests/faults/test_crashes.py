"""A crash of the process before or after a call to an edge does not change the outcome after a restart.

An edge is a port to the outside, for example the table or a queue.
"""

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
    CrashSwitch,
    ProcessCrashError,
    crash_points,
    crashing_edges,
    notified_event_types,
    recover,
)
from tests.support.examples import chat
from tests.support.instances import Answer, Instance, held_instance


def refuse(provisioning: Provisioning, participant: Participant) -> None:
    raise InvalidRoleSidError


@pytest.mark.parametrize("ending", ["active", "closed"])
def test_crash_at_any_call_ends_provisioning_once_and_notifies_every_event(tmp_path: Path, ending: str) -> None:
    points = 0
    edges: dict[str, Any] = {"admit": refuse} if ending == "closed" else {}
    for restarted in crash_points(tmp_path, **edges):
        points += 1
        check(restarted, ending)
    assert points > 20


def ask(instance: Instance) -> Answer:
    data = {"UniqueName": "visit", "Participant": PARTICIPANTS}
    return instance.call("POST", "/v1/ConversationWithParticipants", data, {"Idempotency-Key": "1"})


def test_crash_at_any_call_and_a_repeated_request_create_one_conversation(tmp_path: Path) -> None:
    created = repeated = 0
    for after in (False, True):
        for point in count(1):
            path, switch = str(tmp_path / f"{point}-{after}.db"), CrashSwitch(point, after=after)
            with held_instance(path, partial(crashing_edges, switch)) as crashing:
                switch.armed = True
                with suppress(ProcessCrashError):
                    ask(crashing)
            if switch.calls < point:
                break
            with held_instance(path) as restarted:
                again = ask(restarted)
                repeated += "Idempotent-Replayed" in again.headers
                created += "Idempotent-Replayed" not in again.headers
                recover(restarted)
                (conversation,) = restarted.items("conversation")
                assert (again.status, again.body["sid"]) == (202, conversation["sid"])
                assert (again.body["state"], conversation["state"]) == ("initializing", "active")
                assert ask(restarted).text == again.text
    assert created > 2
    assert repeated > 2


def check(restarted: Instance, ending: str) -> None:
    conversations = restarted.items("conversation")
    if not conversations:
        assert [
            kind for kind in ("provisioning", "lock", "change", "alert", "participant#") if restarted.items(kind)
        ] == []
        return
    (conversation,) = conversations
    (record,) = restarted.items("provisioning")
    members = restarted.items("participant#")
    kinds = notified_event_types(restarted)
    assert conversation["state"] == ending
    assert "due_at" not in conversation
    assert conversation["unsettled"] is False
    assert restarted.waiting_messages("delivery") == restarted.waiting_messages("delivery-dlq") == 0
    if ending == "active":
        assert record["status"] == "added"
        assert len(members) == len(PARTICIPANTS)
        identities = {member["identity"] for member in members if "identity" in member}
        assert {user["identity"] for user in restarted.items("user")} == identities
        assert kinds == ["onConversationAdded", "onConversationStateUpdated", *["onParticipantAdded"] * 10]
        assert (len(restarted.items("lock")), len(restarted.items(PROXY))) == (1, 1)
        assert restarted.items("alert") == []
    else:
        assert record["status"] == "failed"
        assert members == restarted.items("user") == []
        assert kinds == ["com.twilio.error-logs.error.logged", "onConversationAdded", "onConversationStateUpdated"]
        assert restarted.items("lock") == restarted.items(PROXY) == []
        assert [alert["code"] for alert in restarted.items("alert")] == [50427]


def test_crash_at_any_call_logs_an_abandoned_webhook_delivery_once(tmp_path: Path) -> None:
    def create_with_failing_webhook(instance: Instance) -> None:
        create = instance.client().conversations.v1.conversation_with_participants.create
        create(participant=chat(1), x_twilio_webhook_enabled="true")
        instance.work()
        for _ in range(DEFAULT_RETRIES + 1):
            instance.forget_pauses()
            instance.work()

    logged = 0
    for restarted in crash_points(tmp_path, scenario=create_with_failing_webhook, statuses=[403]):
        alerts = restarted.items("alert")
        logged += len(alerts)
        assert [alert["code"] for alert in alerts] in ([], [50057])
        assert notified_event_types(restarted).count("com.twilio.error-logs.error.logged") == len(alerts)
        assert restarted.waiting_messages("delivery") == 0
    assert logged > 20
