"""An unreadable change does not block other changes. The change's events can be published later.

See docs/decisions/0076-unreadable-changes.md.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from convoke.storage import keys
from convoke.storage.table import Item, Put, Table
from tests.support.cli_targets import BUS_NAME, CliTarget, StackTarget, data_file_target
from tests.support.instances import ORIGIN, Instance, call, held_instance

URL = "https://hooks.example.com/"
HOOK = {"PostWebhookUrl": URL, "Filters": "onConversationAdded"}
TRIGGER = {"X-Twilio-Webhook-Enabled": "true"}


def create(instance: Instance) -> str:
    created = instance.call("POST", "/v1/Conversations", {}, headers=TRIGGER)
    assert created.status == 201
    sid: str = created.body["sid"]
    return sid


def change_sid(instance: Instance, conversation_sid: str) -> str:
    (change,) = [each for each in instance.changes() if each["conversation_sid"] == conversation_sid]
    sid: str = change["sid"]
    return sid


def corrupt(table: Table, account_sid: str, sid: str) -> Item:
    """Make a stored change unreadable. Return the original item. The event publisher does not receive this update."""
    key = keys.change(account_sid, sid)
    readable = table.get(key)
    assert readable is not None
    table.transact([Put({**readable, "events": "nonsense"})])
    return readable


@pytest.mark.each_engine
def test_unreadable_change_becomes_a_dead_letter_and_blocks_no_other(instance: Instance) -> None:
    instance.call("POST", "/v1/Configuration/Webhooks", HOOK)
    first, readable = create(instance), create(instance)
    instance.work()
    corrupt_sid = change_sid(instance, first)
    # The event publisher receives only new items. Therefore store the unreadable change under a new key.
    item = corrupt(instance.table, instance.account.sid, corrupt_sid)
    renamed = keys.change(instance.account.sid, "IM" + "f" * 32)._asdict()
    instance.table.transact([Put({**item, **renamed, "events": "nonsense"})])
    last = create(instance)
    instance.work()
    assert [each.event.conversation_sid for each in instance.receivers.posted] == [first, readable, last]
    assert instance.waiting_messages("change-dlq") >= 1
    listed = instance.call("GET", "/convoke/v1/Events")
    assert [event["conversation_sid"] for event in listed.body["events"]] == [last, readable]


def account(place: CliTarget) -> dict[str, Any]:
    (created,) = place.printed("account", "create")
    ask(place, created, "/v1/Configuration/Webhooks", HOOK)
    return created


def ask(place: CliTarget, who: Mapping[str, Any], path: str, form: Mapping[str, str]) -> Any:
    auth = (who["sid"], who["auth_token"])
    with place.api() as api:
        return call(api, "POST", f"{ORIGIN}{path}", auth=auth, data=form, headers=TRIGGER).body


def published(place: CliTarget) -> list[str]:
    """Remove the published events from the queue. Return the conversation SIDs of the events."""
    if isinstance(place, StackTarget):
        sqs, url = place.client("sqs"), place.queues["DeliveryQueue"]
        messages = sqs.receive_message(QueueUrl=url, MaxNumberOfMessages=10).get("Messages", [])
        for message in messages:
            sqs.delete_message(QueueUrl=url, ReceiptHandle=message["ReceiptHandle"])
        return [json.loads(message["Body"])["detail"]["conversation_sid"] for message in messages]
    with held_instance(place.options[1]) as instance:
        rows = instance.engine.table.rows("SELECT body FROM messages WHERE queue = 'delivery'")
        instance.engine.table.write("DELETE FROM messages WHERE queue = 'delivery'", ())
        return [json.loads(body)["event"]["conversation_sid"] for (body,) in rows]


def connect_bus(place: CliTarget) -> None:
    """If `place` is a stack, make the stack's event bus send all events to the delivery queue."""
    if isinstance(place, StackTarget):
        events, sqs = place.client("events"), place.client("sqs")
        answer = sqs.get_queue_attributes(QueueUrl=place.queues["DeliveryQueue"], AttributeNames=["QueueArn"])
        events.put_rule(Name="all", EventBusName=BUS_NAME, EventPattern=json.dumps({"source": ["convoke"]}))
        target = {"Id": "queue", "Arn": answer["Attributes"]["QueueArn"]}
        events.put_targets(Rule="all", EventBusName=BUS_NAME, Targets=[target])


def bury(place: CliTarget, body: Mapping[str, Any]) -> None:
    if isinstance(place, StackTarget):
        url = place.queues["ChangeDeadLetterQueue"]
        place.client("sqs").send_message(QueueUrl=url, MessageBody=json.dumps(body))
    else:
        with held_instance(place.options[1]) as instance:
            instance.engine.change_dead_letters.add("AC", json.dumps(body))


def redriven(place: CliTarget) -> int:
    (count,) = [line["redriven"] for line in place.printed("dlq", "redrive") if line["queue"] == "change"]
    return int(count)


def test_dlq_redrive_publishes_the_events_of_a_change_and_of_a_period(place: CliTarget) -> None:
    """A dead letter comes from Convoke or from Lambda.

    Convoke's dead letter names one change. Lambda's dead letter contains the first and the last time of a failed batch.
    """
    connect_bus(place)
    who = account(place)
    sid = ask(place, who, "/v1/Conversations", {})["sid"]
    (event,) = place.printed("events", "list", "--account", who["sid"])
    change = {"account_sid": who["sid"], "change_sid": event["id"].partition("-")[0]}
    now = datetime.now(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
    batch = {"approximateArrivalOfFirstRecord": now, "approximateArrivalOfLastRecord": now, "shardId": "shardId-1"}
    bury(place, change)
    bury(place, {"requestContext": {"condition": "RetryAttemptsExhausted"}, "DDBStreamBatchInfo": batch})
    listed = place.printed("dlq", "list")
    assert sorted(listed, key=len) == [{"queue": "change", **change}, {"queue": "change", "first": now, "last": now}]
    assert redriven(place) == 2
    assert published(place) == [sid, sid]


def test_dlq_redrive_keeps_a_change_that_still_cannot_be_read(tmp_path: Path) -> None:
    with data_file_target(tmp_path / "convoke.db") as place:
        who = account(place)
        sid = ask(place, who, "/v1/Conversations", {})["sid"]
        with held_instance(place.options[1]) as instance:
            change = change_sid(instance, sid)
            readable = corrupt(instance.table, who["sid"], change)
        bury(place, {"account_sid": who["sid"], "change_sid": change})
        bury(place, {"something": "else"})
        assert redriven(place) == 0
        with held_instance(place.options[1]) as instance:
            instance.table.transact([Put(readable)])
        assert redriven(place) == 1
        assert published(place) == [sid]
        assert place.printed("dlq", "list") == [{"queue": "change"}]


def test_events_republish_publishes_the_events_of_a_period(place: CliTarget) -> None:
    connect_bus(place)
    who = account(place)
    sids = [ask(place, who, "/v1/Conversations", {})["sid"] for _ in range(2)]
    command = ("events", "republish", "--account", who["sid"])
    assert place.printed(*command, "--end", "2020-01-01") == [{"republished": 0}]
    assert place.printed(*command, "--start", "2020-01-01") == [{"republished": 2}]
    assert sorted(published(place)) == sorted(sids)


def test_events_republish_leaves_out_events_that_a_webhook_was_sent(tmp_path: Path) -> None:
    with data_file_target(tmp_path / "convoke.db") as place:
        who = account(place)
        ask(place, who, "/v1/Conversations", {})
        with held_instance(place.options[1]) as instance:
            instance.work()
        sid = ask(place, who, "/v1/Conversations", {})["sid"]
        assert place.printed("events", "republish", "--account", who["sid"]) == [{"republished": 1}]
        assert published(place) == [sid]


def test_events_republish_follows_every_page(tmp_path: Path) -> None:
    with data_file_target(tmp_path / "convoke.db") as place:
        who = account(place)
        with place.api() as api:
            for _ in range(52):
                call(api, "POST", f"{ORIGIN}/v1/Conversations", auth=(who["sid"], who["auth_token"]), headers=TRIGGER)
        assert place.printed("events", "republish", "--account", who["sid"]) == [{"republished": 52}]


def test_events_republish_refuses_an_invalid_period(tmp_path: Path) -> None:
    with data_file_target(tmp_path / "convoke.db") as place:
        account(place)
        refused = place.run("events", "republish", "--start", "yesterday")
        assert refused.exit_code == 2
        assert "--start: The parameter must be a day such as 2026-01-02" in " ".join(refused.stderr.split())
        refused = place.run("events", "republish", "--start", "2026-01-02", "--end", "2026-01-01")
        assert "--end: The end date must not be before the start date" in refused.stderr
