"""The Provisioning resource shows each participant's outcome. See docs/behaviour/provisioning.md."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import replace
from datetime import timedelta
from typing import Any
from urllib.parse import quote

import pytest

from convoke.domain.errors import InvalidRoleSidError
from convoke.domain.participants import Participant
from convoke.domain.provisioning import Provisioning, ProvisioningRetries
from convoke.embedded.engine import EmbeddedEngine
from convoke.storage.table import Table
from tests.support.aws import moto_instance
from tests.support.examples import CHAT_AND_SMS, GROUP_MMS, chat
from tests.support.instances import ORIGIN, EmbeddedInstance, Instance, call, held_instance

GONE = {"code": 50109, "message": "The role SID must be the SID of a role of this service with the type conversation"}


def create(instance: Instance, participants: list[str], **parameters: str) -> str:
    answered = instance.call("POST", "/v1/ConversationWithParticipants", {**parameters, "Participant": participants})
    sid: str = answered.body["sid"]
    return sid


def outcome(instance: Instance, name: str) -> dict[str, Any]:
    answered = instance.call("GET", f"/convoke/v1/Conversations/{name}/Provisioning")
    assert answered.status == 200
    body: dict[str, Any] = answered.body
    return body


def refuse_roles(_: Provisioning, participant: Participant) -> None:
    if participant.role_sid:
        raise InvalidRoleSidError


@pytest.mark.each_engine
def test_participants_are_pending_until_all_are_added(instance: Instance) -> None:
    sid = create(instance, CHAT_AND_SMS)
    url = f"{ORIGIN}/v1/Conversations/{sid}"
    pending = outcome(instance, sid)
    members = pending.pop("participants")
    assert pending == {
        "account_sid": instance.account.sid,
        "conversation_sid": sid,
        "state": "initializing",
        "status": "pending",
        "attempts": 0,
        "date_created": pending["date_created"],
        "date_updated": pending["date_created"],
        "alert_sid": None,
        "causes": [],
        "url": f"{ORIGIN}/convoke/v1/Conversations/{sid}/Provisioning",
        "links": {"conversation": url, "participants": f"{url}/Participants"},
    }
    instance.work()
    added = outcome(instance, sid)
    listed = instance.call("GET", f"/v1/Conversations/{sid}/Participants").body["participants"]
    assert (added["state"], added["status"], added["alert_sid"]) == ("active", "added", None)
    assert added["date_updated"] >= added["date_created"]
    nothing = {"code": None, "message": None}
    assert added["participants"] == [
        {"sid": member["sid"], "status": "added", **nothing, "url": member["url"]} for member in listed
    ]
    assert members == [{**member, "status": "pending"} for member in added["participants"]]


def test_provisioning_is_found_by_unique_name_and_in_service(instance: Instance) -> None:
    sid = create(instance, chat(1), UniqueName="visit 🙂")
    in_service = f"/Services/{instance.account.default_chat_service_sid}/Conversations"
    name = quote("visit 🙂")
    assert outcome(instance, name) == outcome(instance, sid)
    long = instance.call("GET", f"/convoke/v1{in_service}/{name}/Provisioning").body
    assert long["url"] == f"{ORIGIN}/convoke/v1{in_service}/{sid}/Provisioning"
    assert long["links"]["conversation"] == f"{ORIGIN}/v1{in_service}/{sid}"
    assert long["participants"][0]["url"].startswith(f"{ORIGIN}/v1{in_service}/{sid}/Participants/MB")


@pytest.mark.parametrize("run", [held_instance, moto_instance], ids=["embedded", "aws-on-moto"])
def test_failed_participant_has_error_code_and_message(run: Callable[..., AbstractContextManager[Instance]]) -> None:
    """Convoke adds all participants or none. Therefore the two valid participants also fail, without an error code."""
    person = '{"identity": "alice", "messaging_binding": {"projected_address": "+15017122662"}}'
    with run(admit=refuse_roles) as instance:
        sid = create(instance, [*GROUP_MMS[:2], person])
        instance.work()
        failed = outcome(instance, sid)
        (alert,) = instance.items("alert")
    assert (failed["state"], failed["status"], failed["alert_sid"]) == ("closed", "failed", alert["sid"])
    outcomes = [(member["status"], member["code"], member["message"]) for member in failed["participants"]]
    assert outcomes == [("failed", None, None), ("failed", None, None), ("failed", GONE["code"], GONE["message"])]
    assert failed["causes"] == []


def broken(provisioning: Provisioning, participant: Participant) -> None:
    raise OSError("the disk is gone")


def test_unexpected_error_is_reported_for_conversation_and_each_participant() -> None:
    with held_instance(admit=broken, provisioning_retries=ProvisioningRetries(max_attempts=2)) as instance:
        sid = create(instance, chat(2))
        instance.lose_messages()
        counted = []
        for hour in range(1, 4):
            assert instance.sweep(timedelta(hours=hour)) == 1
            counted.append((outcome(instance, sid)["status"], outcome(instance, sid)["attempts"]))
        instance.work()
        assert counted == [("pending", 1), ("pending", 2), ("pending", 3)]
        failed = outcome(instance, sid)
    cause = {"code": 20500, "message": "An unexpected error: given up after 2 attempts"}
    assert (failed["status"], failed["causes"]) == ("failed", [cause])
    assert [member["status"] for member in failed["participants"]] == ["failed", "failed"]
    assert all(cause.items() <= member.items() for member in failed["participants"])


class CountedTable:
    """A table that records the names of the called methods."""

    def __init__(self, table: Table) -> None:
        self._table = table
        self.verbs: list[str] = []

    def __getattr__(self, verb: str) -> Any:
        self.verbs.append(verb)
        return getattr(self._table, verb)


def test_conversation_and_provisioning_are_read_in_one_call(embedded: EmbeddedInstance) -> None:
    sid = create(embedded, chat(1), UniqueName="visit")
    table = CountedTable(embedded.engine.table)
    counted = EmbeddedEngine(":memory:", lambda _: replace(embedded.engine.edges, table=table))
    auth = (embedded.account.sid, embedded.token)
    call(counted.api.resolve, "GET", f"{ORIGIN}/v1/Conversations/{sid}", auth=auth)
    for name, verbs in ((sid, ["get_many"]), ("visit", ["get", "get_many"])):
        table.verbs.clear()
        call(counted.api.resolve, "GET", f"{ORIGIN}/convoke/v1/Conversations/{name}/Provisioning", auth=auth)
        assert table.verbs == verbs
    counted.close()


def test_provisioning_without_participants_or_conversation_is_not_found(instance: Instance) -> None:
    plain = instance.call("POST", "/v1/Conversations").body["sid"]
    deleted = create(instance, chat(1))
    assert instance.call("DELETE", f"/v1/Conversations/{deleted}").status == 204
    for name in (plain, deleted, "CH" + "0" * 32, "unknown", "x" * 300):
        path = f"/convoke/v1/Conversations/{name}/Provisioning"
        refused = instance.call("GET", path)
        assert (refused.status, refused.body["code"]) == (404, 20404)
        assert refused.body["message"] == f"The requested resource {path} was not found"
