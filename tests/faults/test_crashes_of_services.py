"""If the process crashes during the deletion of a service, the service exists as a whole or not at all."""

from __future__ import annotations

from collections import Counter
from datetime import timedelta
from pathlib import Path

import pytest

from convoke.storage import conversations, deleted_services
from tests.support.crashes import PROXY, Scenario, crash_points, notified_event_types
from tests.support.examples import CHAT_AND_SMS, chat
from tests.support.instances import Instance
from tests.support.manual_clock import ManualClock

NOW, LONG_AFTER = timedelta(0), timedelta(days=1)

REMOVED = "onConversationRemoved"

PARTICIPANTS = [*chat(3), *CHAT_AND_SMS]

USERS, CONVERSATIONS, OTHERS = 4, 2, 3

BELONGINGS = {
    "conversation": CONVERSATIONS,
    "participant": len(PARTICIPANTS),
    "provisioning": 1,
    "lock": 1,
    "service": 1,
    "user": USERS,
    "role": 1,
    "configuration": 2,
}
"""Maps each kind of item to the number of such items in the service."""


def fill_service(instance: Instance) -> str:
    """Create a service with so many items that its erasure needs several pages and batches. Return the service SID.

    The test uses small pages and batches. Also create a conversation in the default service. The identities of its
    participants exist in the new service too.
    """
    v1 = instance.client().conversations.v1
    v1.conversation_with_participants.create(participant=chat(OTHERS))
    sid = str(v1.services.create(friendly_name="Support").sid)
    service = v1.services(sid)
    service.configuration.webhooks().update(method="GET", post_webhook_url="https://hooks.example.com/own")
    service.configuration.notifications().update(log_enabled=True)
    service.roles.create(friendly_name="guest", type="conversation", permission=["sendMessage"])
    service.conversation_with_participants.create(unique_name="visit", participant=PARTICIPANTS)
    for _ in range(CONVERSATIONS - 1):
        service.conversations.create()
    instance.work()
    return sid


def delete_service(clock: ManualClock, sids: list[str]) -> Scenario:
    """Return a scenario that deletes the last service in `sids` and then runs three sweeps."""

    def scenario(instance: Instance) -> None:
        assert instance.client().conversations.v1.services(sids[-1]).delete()
        for seconds in (1, 60, 60):
            pass_time(instance, clock, timedelta(seconds=seconds))

    return scenario


def pass_time(instance: Instance, clock: ManualClock, by: timedelta) -> None:
    clock.move(by)
    instance.sweep(NOW)
    instance.work()


def belongings(instance: Instance, sid: str) -> Counter[str]:
    """Count the items of a service by kind, except change records."""
    kinds = (str(item["sk"]).partition("#")[0] for item in instance.items("") if sid in str(item))
    return Counter(kind for kind in kinds if kind != "change")


def test_crash_while_deleting_a_service_deletes_everything_or_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for module in (conversations, deleted_services):
        monkeypatch.setattr(module, "ERASE_BATCH_SIZE", 3)
    monkeypatch.setattr(deleted_services, "PAGE_SIZE", 2)
    clock, sids, outcomes = ManualClock(), list[str](), set()

    def prepare(instance: Instance) -> None:
        sids.append(fill_service(instance))

    def sweep_often(restarted: Instance) -> None:
        for _ in range(4):
            pass_time(restarted, clock, LONG_AFTER)

    for restarted in crash_points(tmp_path, delete_service(clock, sids), prepare, sweep_often, now=clock.now):
        left = belongings(restarted, sids[-1])
        deleted = not left
        assert left == ({} if deleted else BELONGINGS)
        assert len(restarted.items(PROXY)) == (not deleted)
        removed = [event for change in restarted.changes() for event in change["events"] if event["type"] == REMOVED]
        assert len({event["conversation_sid"] for event in removed}) == len(removed) == CONVERSATIONS * deleted
        assert REMOVED not in notified_event_types(restarted), "webhooks hear nothing of a deleted service"
        (kept,) = restarted.client().conversations.v1.conversations.list()
        assert len(kept.participants.list()) == OTHERS
        outcomes.add(deleted)
    assert outcomes == {False, True}
