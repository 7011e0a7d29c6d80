"""If Convoke's own code fails, Convoke retries with growing pauses. After several failures, Convoke creates an alert.

After the alert, Convoke gives up a delivery or a copy, and retries other work only rarely. Exceptions: a pre-event is
tried only once, and a queue message that cannot be parsed becomes a dead letter immediately.
See docs/decisions/0098-own-failures-are-given-up.md.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import datetime, timedelta
from itertools import pairwise
from typing import Any

import pytest

from convoke.aws.copy_queue import SqsCopyQueue
from convoke.aws.delivery_queue import SqsDeliveryQueue
from convoke.domain import instants
from convoke.domain.errors import UnavailableError
from convoke.domain.events import ErrorLogType, Event
from convoke.domain.pauses import MAX_OWN_FAILURES
from convoke.domain.provisioning import MAX_LATE_PAUSE, ProvisioningRetries
from convoke.domain.webhooks import Delivery
from convoke.embedded.clock import MovableClock
from convoke.operations.conversation_finalizer import ConversationFinalizer
from convoke.operations.conversations import ConversationOperations
from convoke.operations.due_conversations import DueConversations
from convoke.operations.message_sender import MessageSender
from convoke.operations.participants import ParticipantOperations
from convoke.operations.webhook_delivery import BegunDelivery, Outcome, WebhookDelivery
from convoke.storage import keys
from convoke.storage.copies import CopyRepository
from convoke.storage.webhook_levels import WebhookLevelsRepository
from convoke.webhooks.client import WebhookHttpClient
from tests.contract.test_webhook_client import receiver
from tests.support.aws import moto_instance
from tests.support.examples import CHAT_AND_SMS, chat
from tests.support.instances import ORIGIN, EmbeddedInstance, held_instance
from tests.support.phones import conversation_with
from tests.support.template import resources

HEADER = {"X-Twilio-Webhook-Enabled": "true"}

DAY = timedelta(days=1)

ROUNDING = timedelta(milliseconds=1)
"""The maximum rounding error of a time in the queue, which stores each time as a floating-point number of seconds."""


class BugError(Exception):
    """Simulates a bug in Convoke."""


def fail(*_: object, **__: object) -> Any:
    raise BugError


class FrozenClock(MovableClock):
    """The clock of the whole engine, including its queues. Only the test moves the clock."""

    def __init__(self) -> None:
        super().__init__()
        self.freeze_at(instants.now())

    def move(self, by: timedelta) -> None:
        self.freeze_at(self() + by)


@pytest.fixture
def clock() -> FrozenClock:
    return FrozenClock()


@pytest.fixture
def instance(clock: FrozenClock) -> Iterator[EmbeddedInstance]:
    with held_instance(movable_clock=clock) as made:
        yield made


def configure(instance: EmbeddedInstance, **form: str) -> None:
    form = {"PostWebhookUrl": "https://hooks.example.com/", "Filters": "onConversationAdded", **form}
    assert instance.call("POST", "/v1/Configuration/Webhooks", form).status == 200


def work_for_a_day(instance: EmbeddedInstance, clock: FrozenClock) -> list[float]:
    """Simulate a day, and do the work whenever a queue message becomes visible.

    Return the pauses between these times, in seconds.
    """
    pauses, end = [], clock() + DAY
    work(instance)
    while (visible := instance.engine.queue.next_visible(clock())) and visible < end:
        pauses.append((visible - clock()).total_seconds())
        clock.move(visible - clock() + ROUNDING)
        work(instance)
    return pauses


def work(instance: EmbeddedInstance) -> None:
    instance.work()
    while instance.engine.steps.are_waiting:
        instance.work()


def alerts(instance: EmbeddedInstance) -> list[dict[str, Any]]:
    return list(instance.call("GET", "/v1/Alerts").body["alerts"])


def failing_for_conversations(split: Callable[[WebhookDelivery, Event], None]) -> Callable[..., None]:
    """Return a replacement for `split` that fails for all events except alerts."""

    def failing(self: WebhookDelivery, event: Event) -> None:
        if event.type is not ErrorLogType.ERROR_LOGGED:
            raise BugError
        split(self, event)

    return failing


DOUBLING = [5.0 * 2**number for number in range(MAX_OWN_FAILURES - 1)]


@pytest.mark.parametrize("part", ["begin", "call", "finish", "split"])
def test_failing_delivery_is_retried_with_growing_pauses_and_becomes_a_dead_letter(
    instance: EmbeddedInstance,
    clock: FrozenClock,
    part: str,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    configure(instance)
    broken = fail if part != "split" else failing_for_conversations(WebhookDelivery.split)
    monkeypatch.setattr(WebhookDelivery, part, broken)
    assert instance.call("POST", "/v1/Conversations", headers=HEADER).status == 201
    pauses = work_for_a_day(instance, clock)
    assert pauses == pytest.approx(DOUBLING, abs=0.01)
    assert (instance.waiting_messages("delivery"), instance.waiting_messages("delivery-dlq")) == (0, 1)
    (alert,) = alerts(instance)
    assert (alert["error_code"], alert["resource_sid"][:2]) == ("20500", "CH")
    details = instance.call("GET", f"/convoke/v1/Alerts/{alert['sid']}").body
    assert details["event_id"] in details["text"]
    assert details["target"] == (None if part == "split" else "account")
    assert instance.call("GET", details["links"]["event"].removeprefix(ORIGIN)).body["id"] == details["event_id"]
    tracebacks = [record for record in caplog.records if record.exc_info]
    # Convoke first splits a new event without the queue. If this split fails, Convoke puts the event into the queue.
    # The queue counts only the later failures, so `split` fails once more than the other parts.
    assert len(tracebacks) == MAX_OWN_FAILURES + (part == "split")


def test_redriven_dead_letter_has_all_attempts_again(
    instance: EmbeddedInstance, clock: FrozenClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    configure(instance)
    with monkeypatch.context() as broken:
        broken.setattr(WebhookDelivery, "begin", fail)
        instance.call("POST", "/v1/Conversations", headers=HEADER)
        work_for_a_day(instance, clock)
    assert instance.engine.dead_letters.redrive(lambda body: body) == 1
    instance.receivers.statuses = [500, 500, 500, 200]
    work_for_a_day(instance, clock)
    assert instance.receivers.retry_counts == [0, 1, 2, 3]


def test_own_failures_use_up_no_attempt_of_the_receiver(
    instance: EmbeddedInstance, clock: FrozenClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    configure(instance)
    with monkeypatch.context() as broken:
        broken.setattr(WebhookDelivery, "call", fail)
        instance.call("POST", "/v1/Conversations", headers=HEADER)
        instance.work()
    work_for_a_day(instance, clock)
    assert instance.receivers.retry_counts == [0]


def test_event_that_cannot_be_split_does_not_block_later_events(
    instance: EmbeddedInstance, clock: FrozenClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    configure(instance)
    fetch = WebhookLevelsRepository.fetch_with_scoped
    poison: list[str] = []

    def fail_for_one(self: WebhookLevelsRepository, account: str, service: str, conversation: str) -> Any:
        if conversation in poison:
            raise BugError
        return fetch(self, account, service, conversation)

    monkeypatch.setattr(WebhookLevelsRepository, "fetch_with_scoped", fail_for_one)
    poison.append(instance.call("POST", "/v1/Conversations", headers=HEADER).body["sid"])
    good = instance.call("POST", "/v1/Conversations", headers=HEADER).body["sid"]
    work_for_a_day(instance, clock)
    assert [delivery.event.conversation_sid for delivery in instance.receivers.posted] == [good]
    assert instance.waiting_messages("delivery-dlq") == 1
    assert instance.engine.table.stream_records(1) == []


def test_unreadable_stream_record_does_not_block_later_events(
    instance: EmbeddedInstance, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    configure(instance)
    record = json.dumps({"pk": "AC1#EV1", "sk": "change", "events": 7})
    instance.engine.table.write("INSERT INTO stream (body) VALUES (?)", (record,))
    instance.call("POST", "/v1/Conversations", headers=HEADER)
    instance.work()
    assert len(instance.receivers.posted) == 1
    assert caplog.messages.count("a change cannot be published") == 1


def test_failure_to_store_the_alert_does_not_keep_the_message_alive(
    instance: EmbeddedInstance, clock: FrozenClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    configure(instance)
    monkeypatch.setattr(WebhookDelivery, "call", fail)
    monkeypatch.setattr("convoke.operations.webhook_delivery.own_failure_alert", fail)
    instance.call("POST", "/v1/Conversations", headers=HEADER)
    work_for_a_day(instance, clock)
    assert (instance.waiting_messages("delivery"), instance.waiting_messages("delivery-dlq")) == (0, 1)


def test_failing_delivery_of_an_alert_makes_no_further_alert(
    instance: EmbeddedInstance, clock: FrozenClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    configure(instance)
    form = {"ErrorLogUrl": "https://log.example.com/"}
    assert instance.call("POST", "/convoke/v1/Configuration", form).status == 200
    monkeypatch.setattr(WebhookDelivery, "call", fail)
    instance.call("POST", "/v1/Conversations", headers=HEADER)
    work_for_a_day(instance, clock)
    assert len(alerts(instance)) == 1
    assert instance.waiting_messages("delivery-dlq") == 2


@pytest.mark.parametrize("failing", ["call", "Auth Token"])
def test_message_replay_continues_after_a_message_that_convoke_cannot_deliver(
    instance: EmbeddedInstance, clock: FrozenClock, monkeypatch: pytest.MonkeyPatch, failing: str
) -> None:
    sid = instance.call("POST", "/v1/Conversations").body["sid"]
    for number in range(3):
        assert instance.call("POST", f"/v1/Conversations/{sid}/Messages", {"Body": str(number)}).status == 201
    begin, call = WebhookDelivery.begin, WebhookDelivery.call

    def begin_without_token(self: WebhookDelivery, delivery: Delivery, number: int) -> BegunDelivery:
        with monkeypatch.context() as patched:
            if delivery.parameters["Index"] == "1":
                patched.setattr(self.auth_tokens, "fetch", lambda *_: None)
            return begin(self, delivery, number)

    def call_in_vain(self: WebhookDelivery, begun: BegunDelivery) -> Outcome:
        return fail() if begun.delivery.parameters["Index"] == "1" else call(self, begun)

    if failing == "call":
        monkeypatch.setattr(WebhookDelivery, "call", call_in_vain)
    else:
        monkeypatch.setattr(WebhookDelivery, "begin", begin_without_token)
    form = {"Target": "webhook", "Configuration.Url": "https://hooks.example.com/", "Configuration.ReplayAfter": "0"}
    form["Configuration.Filters"] = "onMessageAdded"
    assert instance.call("POST", f"/v1/Conversations/{sid}/Webhooks", form).status == 201
    work_for_a_day(instance, clock)
    assert [delivery.parameters["Index"] for delivery in instance.receivers.posted] == ["0", "2"]
    assert instance.waiting_messages("delivery-dlq") == 1
    instance.receivers.posted.clear()
    monkeypatch.undo()
    # The redriven delivery must not repeat the rest of the replay.
    instance.engine.dead_letters.redrive(lambda body: body)
    work_for_a_day(instance, clock)
    assert [delivery.parameters["Index"] for delivery in instance.receivers.posted] == ["1"]


def test_report_that_fails_uses_up_no_attempt_of_the_receiver(
    instance: EmbeddedInstance, clock: FrozenClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    configure(instance)
    report, broken = WebhookDelivery.report_own_failure, iter([True, True, True])

    def report_in_vain(self: WebhookDelivery, message: Delivery | Event) -> None:
        if next(broken, False):
            raise UnavailableError
        report(self, message)

    monkeypatch.setattr(WebhookDelivery, "report_own_failure", report_in_vain)
    monkeypatch.setattr(WebhookDelivery, "call", fail)
    instance.call("POST", "/v1/Conversations", headers=HEADER)
    work_for_a_day(instance, clock)
    assert len(alerts(instance)) == 1
    statement = "SELECT queue, receive_count FROM messages"
    assert instance.engine.table.rows(statement) == [("delivery-dlq", 1)]


# URLs with unusual credentials or without a normal form


@pytest.mark.parametrize("hook", ["PostWebhookUrl", "PreWebhookUrl"])
def test_credentials_outside_latin_1_are_sent(hook: str) -> None:
    with receiver() as (origin, requests), held_instance() as instance:
        instance.receivers.call = WebhookHttpClient(instance.engine.edges.receiver_rules).call  # type: ignore[method-assign]
        url = origin.replace("http://", "http://me:пароль@")
        filters = "onConversationAdd" if hook == "PreWebhookUrl" else "onConversationAdded"
        configure(instance, **{"PostWebhookUrl": "", hook: url, "Filters": filters})
        assert instance.call("POST", "/v1/Conversations", headers=HEADER).status == 201
        instance.work()
        ((_, _, headers, _),) = requests
        assert alerts(instance) == []
    assert headers["Authorization"] == "Basic bWU60L/QsNGA0L7Qu9GM"


def test_stored_url_without_normal_form_is_given_up_after_its_retries(
    instance: EmbeddedInstance, clock: FrozenClock
) -> None:
    configure(instance)
    instance.receivers.call = WebhookHttpClient(instance.engine.edges.receiver_rules).call  # type: ignore[method-assign]
    statement = "UPDATE items SET body = replace(body, 'https://hooks.example.com/', 'https://me:пароль@a..b/')"
    instance.engine.table.write(statement, ())
    instance.clear_caches()
    assert instance.call("POST", "/v1/Conversations", headers=HEADER).status == 201
    assert len(work_for_a_day(instance, clock)) == 3
    assert instance.waiting_messages("delivery-dlq") == 1
    (alert,) = alerts(instance)
    assert (alert["error_code"], alert["request_url"]) == ("50057", "https://me:***@a..b/")


def test_pre_event_that_fails_in_convoke_does_not_fail_the_request(
    instance: EmbeddedInstance, monkeypatch: pytest.MonkeyPatch
) -> None:
    configure(instance, PreWebhookUrl="https://hooks.example.com/", Filters="onConversationAdd")
    monkeypatch.setattr(instance.receivers, "call", fail)
    assert instance.call("POST", "/v1/Conversations", headers=HEADER).status == 201
    (alert,) = alerts(instance)
    assert alert["error_code"] == "50057"
    assert "an error in Convoke" in alert["alert_text"]


# The sweeper and the steps


def sweeps_of_a_day(instance: EmbeddedInstance, clock: FrozenClock) -> list[datetime]:
    """Run the sweeper every minute for a day. Return the times at which the sweeper processed a resource."""
    processed = []
    for _ in range(24 * 60):
        if instance.engine.sweeper.sweep():
            processed.append(clock())
            instance.work()
        clock.move(timedelta(minutes=1))
    return processed


def pauses_of(moments: list[datetime]) -> list[timedelta]:
    return [later - earlier for earlier, later in pairwise(moments)]


def test_conversation_that_the_sweeper_cannot_process_is_postponed_with_growing_pauses(
    instance: EmbeddedInstance, clock: FrozenClock, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    sid = instance.call("POST", "/v1/Conversations", {"Timers.Inactive": "PT1M"}).body["sid"]
    with monkeypatch.context() as broken:
        broken.setattr(DueConversations, "_run_timers", fail)
        clock.move(timedelta(minutes=2))
        processed = sweeps_of_a_day(instance, clock)
    retries = ProvisioningRetries()
    assert len(processed) < 3 * retries.max_attempts
    assert pauses_of(processed) == sorted(pauses_of(processed))
    assert len([record for record in caplog.records if record.exc_info]) == len(processed)
    (alert,) = alerts(instance)
    assert (alert["error_code"], alert["resource_sid"]) == ("20500", sid)
    # After the repair, the sweeper processes the conversation as soon as it is due.
    clock.move(MAX_LATE_PAUSE)
    assert instance.engine.sweeper.sweep() == 1
    assert instance.call("GET", f"/v1/Conversations/{sid}").body["state"] == "inactive"


def test_only_failures_in_a_row_of_the_sweeper_are_counted(
    instance: EmbeddedInstance, clock: FrozenClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    sid = instance.call("POST", "/v1/Conversations", {"Timers.Inactive": "PT1M"}).body["sid"]
    clock.move(timedelta(minutes=2))
    with monkeypatch.context() as broken:
        broken.setattr(DueConversations, "_run_timers", fail)
        for _ in range(3):
            instance.engine.sweeper.sweep()
            clock.move(timedelta(minutes=2))
    (item,) = instance.items("conversation")
    assert item["sweep_failures"] == 3
    # The client sets the timer again. The next sweep processes the conversation without a failure.
    assert instance.call("POST", f"/v1/Conversations/{sid}", {"Timers.Inactive": "PT5M"}).status == 200
    assert instance.engine.sweeper.sweep() == 1
    clock.move(timedelta(minutes=6))
    with monkeypatch.context() as broken:
        broken.setattr(DueConversations, "_run_timers", fail)
        instance.engine.sweeper.sweep()
    (item,) = instance.items("conversation")
    assert item["sweep_failures"] == 1
    due_at = ProvisioningRetries().next_attempt_at(clock(), 1)
    assert item[keys.DUE.sort] == instants.to_milliseconds(due_at)


@pytest.mark.parametrize("part", ["finalize", "settle"])
def test_execution_that_always_fails_is_tried_rarely_and_reported(
    instance: EmbeddedInstance, clock: FrozenClock, part: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as broken:
        broken.setattr(ConversationFinalizer, part, fail)
        form = {"Participant": chat(2)}
        sid = instance.call("POST", "/v1/ConversationWithParticipants", form).body["sid"]
        instance.work()
        processed = sweeps_of_a_day(instance, clock)
        assert len(processed) < 3 * ProvisioningRetries().max_attempts
        (alert,) = alerts(instance)
        assert (alert["error_code"], alert["resource_sid"]) == ("20500", sid)
    clock.move(MAX_LATE_PAUSE)
    instance.engine.sweeper.sweep()
    instance.work()
    assert instance.call("GET", f"/v1/Conversations/{sid}").body["state"] == "active"
    assert instance.items("conversation")[0].get("due_at") is None


def deleted_user(instance: EmbeddedInstance) -> str:
    """Delete a User with a participant. Return the User SID."""
    instance.call("POST", "/v1/ConversationWithParticipants", {"Participant": chat(1)})
    instance.work()
    (user,) = instance.call("GET", "/v1/Users").body["users"]
    assert instance.call("DELETE", f"/v1/Users/{user['sid']}").status == 204
    return str(user["sid"])


def deleted_service(instance: EmbeddedInstance) -> str:
    """Delete a service with a conversation. Return the service SID."""
    sid = instance.call("POST", "/v1/Services", {"FriendlyName": "Support"}).body["sid"]
    assert instance.call("POST", f"/v1/Services/{sid}/Conversations").status == 201
    assert instance.call("DELETE", f"/v1/Services/{sid}").status == 204
    return str(sid)


DELETIONS = pytest.mark.parametrize(
    ("delete", "operations", "kind"),
    [
        pytest.param(deleted_user, ParticipantOperations, "user", id="user"),
        pytest.param(deleted_service, ConversationOperations, "deleted-service", id="service"),
    ],
)
"""Runs a test for a deleted User and for a deleted service.

- `delete` creates and deletes the User or the service.
- `operations` is the class whose method `delete` the sweeper calls: for each participant of the User, or for each
  conversation of the service.
- `kind` is the kind of the due item.
"""


@DELETIONS
def test_deletion_that_always_fails_is_tried_rarely_and_reported(
    instance: EmbeddedInstance,
    clock: FrozenClock,
    delete: Callable[[EmbeddedInstance], str],
    operations: type[Any],
    kind: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    sid = delete(instance)
    with monkeypatch.context() as broken:
        broken.setattr(operations, "delete", fail)
        processed = sweeps_of_a_day(instance, clock)
    assert len(processed) < 3 * ProvisioningRetries().max_attempts
    assert pauses_of(processed) == sorted(pauses_of(processed))
    (alert,) = alerts(instance)
    assert (alert["error_code"], alert["resource_sid"]) == ("20500", sid)
    for _ in range(2):
        clock.move(MAX_LATE_PAUSE)
        instance.engine.sweeper.sweep()
    assert instance.items(kind) == []


@DELETIONS
@pytest.mark.parametrize("fails", [False, True])
def test_interrupted_pass_counts_as_an_attempt_only_if_it_failed(
    instance: EmbeddedInstance,
    clock: FrozenClock,
    delete: Callable[[EmbeddedInstance], str],
    operations: type[Any],
    kind: str,
    fails: bool,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    delete(instance)
    if fails:
        monkeypatch.setattr(operations, "delete", fail)
    clock.move(timedelta(seconds=1))
    # The sweeper calls `go_on` before it takes the resource, and the deletion calls `go_on` before each participant or
    # conversation.
    answers = iter([True, fails, False])
    assert instance.engine.sweeper.sweep(go_on=lambda: next(answers)) == 1
    (item,) = instance.items(kind)
    assert item["attempts"] == fails
    # Process only items of this kind. The deletion has made the service's conversations due too.
    sweeper = instance.engine.sweeper
    assert replace(sweeper, processes={kind: sweeper.processes[kind]}).sweep() == (not fails)


def test_alert_about_own_failure_reaches_the_error_log_url(
    instance: EmbeddedInstance, clock: FrozenClock, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    configure(instance)
    instance.call("POST", "/convoke/v1/Configuration", {"ErrorLogUrl": "https://log.example.com/"})
    with monkeypatch.context() as broken:
        broken.setattr(WebhookDelivery, "begin", fail)
        instance.call("POST", "/v1/Conversations", headers=HEADER)
        work_for_a_day(instance, clock)
    instance.engine.dead_letters.redrive(lambda body: body)
    work_for_a_day(instance, clock)
    posted = [each for each in instance.receivers.posted if each.target == "error-log"]
    assert [json.loads(each.event.payload["Payload"])["error_code"] for each in posted] == ["20500"]


# The engine on AWS


@pytest.mark.parametrize("part", ["call", "split"])
def test_failing_delivery_on_aws_is_retried_with_growing_pauses_and_becomes_a_dead_letter(
    part: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    pauses: list[float] = []
    send_again = SqsDeliveryQueue.send_again

    def without_delay(self: SqsDeliveryQueue, body: str, failures: int, seconds: float) -> None:
        pauses.append(seconds)
        send_again(self, body, failures, 0)

    monkeypatch.setattr(SqsDeliveryQueue, "send_again", without_delay)
    with moto_instance() as moto:
        form = {"PostWebhookUrl": "https://hooks.example.com/", "Filters": "onConversationAdded"}
        moto.call("POST", "/v1/Configuration/Webhooks", form)
        broken = fail if part != "split" else failing_for_conversations(WebhookDelivery.split)
        monkeypatch.setattr(WebhookDelivery, part, broken)
        assert moto.call("POST", "/v1/Conversations", headers=HEADER).status == 201
        for _ in range(2 * MAX_OWN_FAILURES):
            moto.work()
            moto.forget_pauses()
        assert pauses == DOUBLING
        assert (moto.waiting_messages("delivery"), moto.waiting_messages("delivery-failure")) == (0, 1)
        (alert,) = moto.call("GET", "/v1/Alerts").body["alerts"]
        assert alert["error_code"] == "20500"


def test_dead_letter_on_aws_does_not_contain_the_rest_of_a_message_replay() -> None:
    with moto_instance() as moto:
        sid = moto.call("POST", "/v1/Conversations").body["sid"]
        for body in ("\uffff is no character", "second"):
            assert moto.call("POST", f"/v1/Conversations/{sid}/Messages", {"Body": body}).status == 201
        moto.receivers.statuses = [403, 200]
        form = {
            "Target": "webhook",
            "Configuration.Url": "https://hooks.example.com/",
            "Configuration.ReplayAfter": "0",
        }
        form["Configuration.Filters"] = "onMessageAdded"
        assert moto.call("POST", f"/v1/Conversations/{sid}/Webhooks", form).status == 201
        moto.work()
        assert [delivery.parameters["Index"] for delivery in moto.receivers.posted] == ["0", "1"]
        queue = moto.deployment.values["DeliveryDeadLetterQueue"]
        (received,) = moto.deployment.client("sqs").receive_message(QueueUrl=queue)["Messages"]
        assert "\uffff" not in received["Body"]
        delivery = Delivery.model_validate_json(received["Body"])
        assert (delivery.parameters["Index"], delivery.followed_by) == ("0", None)


def test_malformed_message_on_aws_is_a_dead_letter_at_once() -> None:
    with moto_instance() as moto:
        queue = moto.deployment.values["DeliveryQueue"]
        moto.deployment.client("sqs").send_message(QueueUrl=queue, MessageBody="poison")
        moto.work()
        assert (moto.waiting_messages("delivery"), moto.waiting_messages("delivery-failure")) == (0, 1)


def test_own_failures_on_aws_use_up_no_attempt_of_the_receiver(monkeypatch: pytest.MonkeyPatch) -> None:
    with moto_instance() as moto:
        form = {"PostWebhookUrl": "https://hooks.example.com/", "Filters": "onConversationAdded"}
        moto.call("POST", "/v1/Configuration/Webhooks", form)
        moto.receivers.statuses = [500, 500, 500, 500]
        moto.call("POST", "/v1/Conversations", headers=HEADER)
        begin, outcomes = WebhookDelivery.begin, iter((True, False, False, True, False, True, True))
        monkeypatch.setattr(WebhookDelivery, "begin", lambda *given: begin(*given) if next(outcomes) else fail())
        for _ in range(7):
            moto.work()
            moto.forget_pauses()
        assert moto.receivers.retry_counts == [0, 1, 2, 3]
        assert moto.waiting_messages("delivery-dlq") == 1


@pytest.mark.parametrize("part", ["begin", "finish"])
def test_failing_copy_on_aws_is_retried_with_growing_pauses_and_fails(
    part: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    pauses: list[float] = []
    monkeypatch.setattr(SqsCopyQueue, "postpone", lambda _, __, seconds: pauses.append(seconds))
    with moto_instance() as moto:
        conversation = conversation_with(moto, *CHAT_AND_SMS)
        message = conversation.messages.create(body="Hello")
        with monkeypatch.context() as broken:
            broken.setattr(MessageSender, part, fail)
            for _ in range(2 * MAX_OWN_FAILURES):
                moto.work()
                moto.forget_pauses()
        assert pauses == DOUBLING
        assert (moto.waiting_messages("copy"), moto.waiting_messages("copy-failure")) == (0, 1)
        (receipt,) = moto.items("receipt#")
        assert (receipt["status"], receipt["error_code"]) == ("failed", 30008)
        assert conversation.messages(message.sid).fetch().delivery["failed"] == "all"
        (alert,) = moto.call("GET", "/v1/Alerts").body["alerts"]
        assert (alert["error_code"], alert["resource_sid"]) == ("30008", message.sid)
        # Clients know from the receipt that the copy has failed. Therefore a redrive does not send the copy.
        sent = moto.items("phone-message#")
        moto.redrive_copies()
        moto.work()
        assert (moto.waiting_messages("copy"), moto.items("receipt#")) == (0, [receipt])
        assert moto.items("phone-message#") == sent
        assert len(sent) == (part == "finish")


def test_own_failures_on_aws_use_up_no_attempt_of_a_copy(monkeypatch: pytest.MonkeyPatch) -> None:
    with moto_instance() as moto:
        conversation_with(moto, *CHAT_AND_SMS).messages.create(body="Hello")
        begin, outcomes = MessageSender.begin, iter((False, False, True))
        monkeypatch.setattr(MessageSender, "begin", lambda *given: begin(*given) if next(outcomes) else fail())
        for _ in range(3):
            moto.work()
            moto.forget_pauses()
        (receipt,) = moto.items("receipt#")
        assert (receipt["status"], receipt["attempts"], receipt["failures"]) == ("delivered", 1, 2)


def test_failure_of_the_table_on_aws_does_not_make_a_copy_fail(monkeypatch: pytest.MonkeyPatch) -> None:
    with moto_instance() as moto:
        conversation_with(moto, *CHAT_AND_SMS).messages.create(body="Hello")
        with monkeypatch.context() as broken:
            for part in ("fetch", "count_failure"):
                broken.setattr(CopyRepository, part, fail)
            for _ in range(2 * MAX_OWN_FAILURES):
                moto.work()
                moto.forget_pauses()
        moto.work()
        assert [receipt["status"] for receipt in moto.items("receipt#")] == ["delivered"]


def test_sqs_receives_a_message_more_often_than_convoke_may_fail() -> None:
    redrive = resources("AWS::SQS::Queue")["DeliveryQueue"]["RedrivePolicy"]
    assert redrive["maxReceiveCount"] > MAX_OWN_FAILURES
