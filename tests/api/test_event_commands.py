"""`convoke events`, `convoke dlq` and `convoke env` work on a data file and on a deployed stack."""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from convoke.aws.message_bodies import escape_noncharacters
from convoke.domain.copies import Copy
from convoke.domain.sids import is_sid
from convoke.domain.webhooks import Delivery
from convoke.embedded.queue import NO_RECEIVER, QueuedMessage
from tests.support.cli_targets import CliTarget, StackTarget, data_file_target, refusal
from tests.support.instances import ORIGIN, call, held_instance, receive_any

URL = "https://hooks.example.com/"


def account(place: CliTarget) -> dict[str, Any]:
    """Create an account with a webhook. Return the account."""
    (created,) = place.printed("account", "create")
    ask(place, created, "/v1/Configuration/Webhooks", {"PostWebhookUrl": URL, "Filters": "onConversationAdded"})
    return created


def ask(place: CliTarget, who: dict[str, Any], path: str, form: dict[str, str]) -> Any:
    with place.api() as api:
        answered = call(
            api,
            "POST",
            f"{ORIGIN}{path}",
            auth=(who["sid"], who["auth_token"]),
            data=form,
            headers={"X-Twilio-Webhook-Enabled": "true"},
        )
    assert answered.status < 300
    return answered.body


def create_conversation(place: CliTarget, who: dict[str, Any]) -> str:
    sid: str = ask(place, who, "/v1/Conversations", {"FriendlyName": "Visit"})["sid"]
    return sid


def received_deliveries(place: CliTarget) -> list[Delivery]:
    """Receive the messages of the delivery queue (on a stack, at most 10 messages). Return their deliveries."""
    if isinstance(place, StackTarget):
        sqs, url = place.client("sqs"), place.queues["DeliveryQueue"]
        received = sqs.receive_message(QueueUrl=url, MaxNumberOfMessages=10).get("Messages", [])
        return [Delivery.model_validate_json(message["Body"]) for message in received]
    with held_instance(place.options[1]) as instance:
        found = []
        while message := receive_any(instance.engine.queue):
            assert message.receive_count == 1
            instance.engine.queue.delete(message)
            found.append(Delivery.model_validate_json(message.body))
        return found


def bury(place: CliTarget, who: dict[str, Any], bodies: Sequence[str]) -> None:
    if isinstance(place, StackTarget):
        for body in bodies:
            place.client("sqs").send_message(QueueUrl=place.queues["DeliveryDeadLetterQueue"], MessageBody=body)
        return
    with held_instance(place.options[1]) as instance:
        queue = instance.engine.queue
        queue.send([QueuedMessage(who["sid"], NO_RECEIVER, body) for body in bodies])
        while message := queue.receive(NO_RECEIVER):
            queue.dead_letter(message, message.body)


def show(place: CliTarget, who: dict[str, Any], event_id: str) -> dict[str, Any]:
    (shown,) = place.printed("events", "show", event_id, "--account", who["sid"])
    return shown


def delivery(place: CliTarget, who: dict[str, Any]) -> Delivery:
    """Create a delivery, and receive it before Convoke calls the webhook. Return the delivery."""
    create_conversation(place, who)
    (listed,) = place.printed("events", "list", "--account", who["sid"])
    place.printed("events", "replay", listed["id"], "--account", who["sid"])
    (found,) = received_deliveries(place)
    return found


def test_events_list_and_show_print_events(place: CliTarget) -> None:
    who = account(place)
    first, second = create_conversation(place, who), create_conversation(place, who)
    listed = place.printed("events", "list", "--account", who["sid"])
    assert [event["conversation_sid"] for event in listed] == [second, first]
    assert "payload" not in listed[0]
    assert place.printed("events", "list", "--account", who["sid"], "--conversation", first) == [listed[1]]
    assert place.printed("events", "list", "--account", who["sid"], "--limit", "1") == [listed[0]]
    shown = show(place, who, listed[1]["id"])
    assert (shown["payload"]["FriendlyName"], shown["attempts"]) == ("Visit", [])


def test_events_list_follows_every_page(tmp_path: Path) -> None:
    with data_file_target(tmp_path / "convoke.db") as place:
        who = account(place)
        made = [create_conversation(place, who) for _ in range(52)]
        listed = place.printed("events", "list", "--account", who["sid"], "--limit", "60")
        assert [event["conversation_sid"] for event in listed] == made[::-1]


def test_events_replay_sends_event_again(place: CliTarget) -> None:
    who = account(place)
    create_conversation(place, who)
    (listed,) = place.printed("events", "list", "--account", who["sid"])
    (replayed,) = place.printed("events", "replay", listed["id"], "--account", who["sid"])
    assert (replayed["event_id"], replayed["targets"]) == (listed["id"], ["account"])
    assert is_sid(replayed["sid"], "RP")  # type: ignore[arg-type]
    (sent,) = received_deliveries(place)
    assert (sent.event.id, sent.url, sent.replay_sid) == (listed["id"], URL, replayed["sid"])
    line = refusal(place.run("events", "replay", listed["id"], "--account-sid", who["sid"], "--target", "error-log"))
    assert line.startswith(f"Error: there is no webhook error-log that receives the event {listed['id']} in ")
    assert received_deliveries(place) == []


def test_env_prints_the_credentials_of_an_account(place: CliTarget) -> None:
    who = account(place)
    lines = f"TWILIO_ACCOUNT_SID={who['sid']}\nTWILIO_AUTH_TOKEN={who['auth_token']}\n"
    for options, environ in ((("--account-sid", who["sid"]), {}), ((), {"CONVOKE_ACCOUNT_SID": who["sid"]})):
        result = place.run("env", *options, **environ)
        assert (result.exit_code, result.output) == (0, lines)


def test_unknown_event_is_reported_in_one_line(place: CliTarget) -> None:
    who = account(place)
    missing = f"EV{'0' * 32}-0"
    for command in ("show", "replay"):
        line = refusal(place.run("events", command, missing, "--account", who["sid"]))
        assert line == f"Error: there is no event {missing} in {place.name_in_messages}"
    other = "AC" + "0" * 32
    assert refusal(place.run("events", "list", "--account", other)).startswith(f"Error: there is no account {other}")


def test_dlq_list_hides_message_content_and_keeps_messages(place: CliTarget) -> None:
    who = account(place)
    dead = delivery(place, who)
    bury(place, who, [dead.model_dump_json(), "nonsense"])
    for _ in range(2):
        listed = place.printed("dlq", "list")
        assert sorted(listed, key=len) == [
            {"queue": "delivery", "unreadable": True},
            {
                "queue": "delivery",
                "account_sid": who["sid"],
                "conversation_sid": dead.event.conversation_sid,
                "event_id": dead.event.id,
                "event_type": "onConversationAdded",
                "target": "account",
            },
        ]
        assert "Visit" not in json.dumps(listed)


def test_dlq_redrive_sends_deliveries_as_new_replays(place: CliTarget) -> None:
    who = account(place)
    dead = delivery(place, who)
    bury(place, who, [dead.model_dump_json()] * 3)
    redriven = {line["queue"]: line["redriven"] for line in place.printed("dlq", "redrive")}
    assert redriven["delivery"] == 3
    assert sum(redriven.values()) == 3
    assert place.printed("dlq", "list") == []
    sent = received_deliveries(place)
    assert [each.event for each in sent] == [dead.event] * 3
    assert len({dead.replay_sid, *(each.replay_sid for each in sent)}) == 4


def test_dlq_redrive_sends_other_messages_unchanged(deployed: StackTarget) -> None:
    sqs, queues = deployed.client("sqs"), deployed.queues
    sqs.send_message(QueueUrl=queues["ParticipantDeadLetterQueue"], MessageBody='{"conversation_sid": "CH1"}')
    assert deployed.printed("dlq", "list") == [{"queue": "participant", "conversation_sid": "CH1"}]
    deployed.printed("dlq", "redrive")
    (message,) = sqs.receive_message(QueueUrl=queues["ParticipantQueue"])["Messages"]
    assert message["Body"] == '{"conversation_sid": "CH1"}'


def test_dlq_redrive_keeps_the_message_group_of_a_copy(deployed: StackTarget) -> None:
    sqs, queues = deployed.client("sqs"), deployed.queues
    sids = {"account_sid": "AC1", "conversation_sid": "CH1", "message_sid": "IM1", "receipt_sid": "DY1"}
    body, group = (
        json.dumps(sids | {"queued_at": "2026-01-02T03:04:05.678Z"}),
        {"MessageGroupId": "line", "MessageDeduplicationId": "DY1"},
    )
    sqs.send_message(QueueUrl=queues["CopyQueue"], MessageBody=body, **group)
    (sent,) = sqs.receive_message(QueueUrl=queues["CopyQueue"])["Messages"]
    sqs.delete_message(QueueUrl=queues["CopyQueue"], ReceiptHandle=sent["ReceiptHandle"])
    sqs.send_message(QueueUrl=queues["CopyFailureQueue"], MessageBody=body, **group)
    assert deployed.printed("dlq", "list") == [{"queue": "copy-failure", **sids}]
    deployed.printed("dlq", "redrive")
    # SQS drops a message whose deduplication id was used recently. Therefore a redrive needs a new deduplication id.
    (message,) = sqs.receive_message(QueueUrl=queues["CopyQueue"], AttributeNames=["All"])["Messages"]
    assert message["Attributes"]["MessageGroupId"] == "line"
    redriven = Copy.model_validate_json(message["Body"])
    assert redriven.model_dump(include={*sids}) == sids
    # The redrive also updates `queued_at`. With the old date, the copy would count as delayed for too long.
    assert redriven.queued_at
    assert redriven.queued_at > datetime.now(UTC) - timedelta(minutes=1)


def test_dlq_redrive_sends_only_characters_that_sqs_accepts(deployed: StackTarget) -> None:
    who = account(deployed)
    dead = delivery(deployed, who)
    dead = dead.model_copy(update={"event": dead.event.model_copy(update={"payload": {"Body": "\ufffe\uffff"}})})
    bury(deployed, who, [escape_noncharacters(dead.model_dump_json())])
    deployed.printed("dlq", "redrive")
    (message,) = deployed.client("sqs").receive_message(QueueUrl=deployed.queues["DeliveryQueue"])["Messages"]
    assert "\\ufffe\\uffff" in message["Body"]
