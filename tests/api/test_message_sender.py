"""Convoke sends copies of messages to phones. A copy has a receipt with its status. See docs/behaviour/receipts.md."""

from __future__ import annotations

import json
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from convoke.domain.carriers import (
    MAX_ATTEMPTS,
    MAX_DELAY,
    CarrierOutcomeUnknownError,
    CarrierRefusedError,
    CarrierThrottledError,
    CarrierUnavailableError,
    OutboundCopy,
    SentCopy,
    pause_seconds,
)
from convoke.domain.copies import Copy
from convoke.domain.errors import PhoneUnknownError
from convoke.domain.pages import PageRequest
from convoke.domain.phones import PhoneMessage
from convoke.domain.receipts import Receipt, ReceiptStatus
from convoke.domain.senders import NewSender, Provider
from convoke.embedded.clock import MovableClock
from convoke.embedded.deliveries import Deliveries
from convoke.operations.media import MediaOperations
from convoke.operations.message_sender import CopyOutcome
from convoke.operations.ports import RetryLaterError
from convoke.program import Edges, Program
from convoke.storage import items, keys
from convoke.storage.phones import OptOutRepository, PhoneRepository
from convoke.storage.senders import SenderRepository
from convoke.testing.instance import running
from tests.support.aws import AwsInstance
from tests.support.examples import CHAT_AND_SMS, GROUP_MMS
from tests.support.instances import EmbeddedInstance, Instance, held_instance
from tests.support.manual_clock import ManualClock
from tests.support.media import media_sid
from tests.support.phones import BUSINESS, OTHER_PHONE, PHONE, conversation_with
from tests.support.waiting import TIMEOUT_SECONDS

PAIR = CHAT_AND_SMS[0]

OTHER_PAIR = PAIR.replace(PHONE, OTHER_PHONE)


def edges_of(instance: Instance) -> Edges:
    """Return the edges (the ports to the outside) with which the instance sends copies."""
    if isinstance(instance, AwsInstance):
        return instance.edges("message_sender")
    assert isinstance(instance, EmbeddedInstance)
    return instance.engine.edges


def inbox(instance: Instance, number: str = PHONE) -> list[PhoneMessage]:
    page = PageRequest(size=50)
    return PhoneRepository(instance.table).list(instance.account.sid, number, page).resources


def statuses(instance: Instance) -> list[str]:
    return [str(receipt["status"]) for receipt in instance.items("receipt#")]


def delivery_events(instance: Instance) -> list[str]:
    listed = instance.call("GET", "/convoke/v1/Events?PageSize=100").body["events"]
    events = [event["payload"] for event in listed if event["event_type"] == "onDeliveryUpdated"]
    return [payload["Status"] for payload in reversed(events)]


@pytest.mark.each_engine
def test_copy_reaches_its_phone_and_the_receipt_says_so(instance: Instance) -> None:
    conversation = conversation_with(instance, PAIR, CHAT_AND_SMS[1])
    message = conversation.messages.create(author="alice", body="Hello")
    assert (message.delivery["total"], message.delivery["sent"], inbox(instance)) == (1, "none", [])
    instance.work()
    (got,) = inbox(instance)
    assert (got.from_, got.to, got.body) == (BUSINESS, PHONE, "Hello")
    assert (got.conversation_sid, got.message_sid) == (message.conversation_sid, message.sid)
    delivery = conversation.messages(message.sid).fetch().delivery
    assert (delivery["sent"], delivery["delivered"], delivery["read"]) == ("all", "all", "none")
    assert delivery_events(instance) == ["sent", "delivered"]


@pytest.mark.each_engine
def test_copies_are_sent_although_webhooks_are_not_notified(instance: Instance) -> None:
    conversation = conversation_with(instance, PAIR)
    conversation.messages.create(body="Hello", x_twilio_webhook_enabled="false")
    instance.work()
    assert [got.body for got in inbox(instance)] == ["Hello"]


@pytest.mark.each_engine
def test_phone_that_has_opted_out_gets_no_copy_but_other_members_do(instance: Instance) -> None:
    OptOutRepository(instance.table).put(instance.account.sid, BUSINESS, [PHONE])
    conversation = conversation_with(instance, PAIR, OTHER_PAIR)
    conversation.messages.create(author="alice", body="Hello")
    instance.work()
    assert (inbox(instance), [got.body for got in inbox(instance, OTHER_PHONE)]) == ([], ["Hello"])
    assert Counter(statuses(instance)) == {"failed": 1, "delivered": 1}
    (alert,) = instance.call("GET", "/v1/Alerts").body["alerts"]
    assert alert["error_code"] == "21610"
    assert PHONE not in str(alert)


def test_later_status_moves_a_receipt_forward_only(instance: EmbeddedInstance) -> None:
    instance.engine.phone_plans.plan(instance.account.sid, PHONE, failures=0, reports_delivery=False)
    conversation = conversation_with(instance, PAIR)
    sid = conversation.messages.create(body="Hello").sid
    instance.work()
    assert statuses(instance) == ["sent"]
    copy = Copy.of(items.to_resource(Receipt, instance.items("receipt#")[0]))
    recorder = instance.engine.program.copy_statuses
    assert recorder.record(copy, ReceiptStatus.READ)
    assert recorder.record(copy, ReceiptStatus.DELIVERED)
    assert recorder.record(copy, ReceiptStatus.FAILED, PhoneUnknownError)
    assert statuses(instance) == ["read"]
    delivery = conversation.messages(sid).fetch().delivery
    assert (delivery["delivered"], delivery["read"], delivery["failed"]) == ("all", "all", "none")
    assert delivery_events(instance) == ["sent", "read"]
    assert not recorder.record(copy.model_copy(update={"receipt_sid": "DY" + "0" * 32}), ReceiptStatus.READ)


def test_edited_message_keeps_the_statuses_of_its_copies(instance: EmbeddedInstance) -> None:
    conversation = conversation_with(instance, PAIR)
    sid = conversation.messages.create(body="Hello").sid
    instance.work()
    conversation.messages(sid).update(body="Hello!")
    assert conversation.messages(sid).fetch().delivery["delivered"] == "all"


def test_copies_of_a_deleted_message_are_not_sent(instance: EmbeddedInstance) -> None:
    conversation = conversation_with(instance, PAIR)
    conversation.messages(conversation.messages.create(body="Hello").sid).delete()
    instance.work()
    assert inbox(instance) == []


@dataclass
class FakeCarrier:
    """A carrier that cannot send a group MMS and does not recognize a repeated copy.

    Each call of `send` uses up one element of `answers`: the exception that the call raises, or the id of the copy. If
    `answers` is empty, the copy has the id `id`.
    """

    answers: list[Exception | str] = field(default_factory=list)
    sent: list[OutboundCopy] = field(default_factory=list)

    @property
    def sends_group_mms(self) -> bool:
        return False

    def send(self, copy: OutboundCopy) -> SentCopy:
        answer = self.answers.pop(0) if self.answers else "id"
        if isinstance(answer, Exception):
            raise answer
        self.sent.append(copy)
        return SentCopy(answer)


@dataclass
class Machine:
    instance: EmbeddedInstance
    carrier: FakeCarrier

    def send(self, *bodies: str) -> None:
        conversation = conversation_with(self.instance, PAIR)
        for body in bodies:
            conversation.messages.create(body=body)
        self.instance.work()

    def later(self, seconds: float) -> None:
        self.instance.engine.advance(timedelta(seconds=seconds))
        self.instance.work()


@pytest.fixture
def machine(tmp_path: Path) -> Iterator[Machine]:
    carrier = FakeCarrier()
    path, carriers = str(tmp_path / "convoke.db"), {Provider.SIMULATED: carrier}
    with held_instance(path, movable_clock=MovableClock(), carriers=carriers) as instance:
        yield Machine(instance, carrier)


@pytest.mark.parametrize("failure", [CarrierUnavailableError, CarrierThrottledError])
def test_carrier_that_fails_twice_gets_the_copy_at_the_third_attempt(
    machine: Machine, failure: Callable[[], Exception]
) -> None:
    machine.carrier.answers = [failure(), failure()]
    machine.send("Hello", "again")
    assert (statuses(machine.instance), machine.carrier.sent) == (["queued", "queued"], [])
    machine.later(6)
    machine.later(11)
    assert [copy.text for copy in machine.carrier.sent] == ["Hello", "again"]
    assert statuses(machine.instance) == ["sent", "sent"]
    assert not any(receipt.get("may_be_repeated") for receipt in machine.instance.items("receipt#"))


def test_copy_that_is_tried_again_goes_before_the_later_copies_of_its_line(machine: Machine) -> None:
    machine.carrier.answers = [CarrierUnavailableError()]
    machine.send("first", "second")
    machine.later(6)
    assert [copy.text for copy in machine.carrier.sent] == ["first", "second"]


def test_copy_fails_after_the_last_attempt(machine: Machine) -> None:
    machine.carrier.answers = [CarrierUnavailableError() for _ in range(MAX_ATTEMPTS)]
    machine.send("Hello")
    for attempts in range(1, MAX_ATTEMPTS + 1):
        assert statuses(machine.instance) == (["queued"] if attempts < MAX_ATTEMPTS else ["failed"])
        machine.later(pause_seconds(attempts) + 1)
    (receipt,) = machine.instance.items("receipt#")
    assert (receipt["error_code"], machine.carrier.sent) == (30008, [])


def test_throttling_uses_up_no_attempt(machine: Machine) -> None:
    machine.carrier.answers = [CarrierThrottledError() for _ in range(2 * MAX_ATTEMPTS)]
    machine.send("Hello")
    for _ in range(2 * MAX_ATTEMPTS):
        machine.later(60)
    assert statuses(machine.instance) == ["sent"]


def test_copy_that_the_carrier_throttles_for_hours_fails(machine: Machine) -> None:
    machine.carrier.answers = [CarrierThrottledError() for _ in range(1000)]
    machine.send("Hello")
    for _ in range(int(MAX_DELAY.total_seconds()) // 10):
        assert statuses(machine.instance) == ["queued"]
        machine.later(10)
    # The pauses grow to a minute. If every pause had 10 seconds, there would be 3,600 attempts.
    assert 600 < 1000 - len(machine.carrier.answers) < 700
    machine.later(60)
    (receipt,) = machine.instance.items("receipt#")
    assert (receipt["status"], receipt["error_code"], receipt["attempts"]) == ("failed", 30001, 1)
    (alert,) = machine.instance.call("GET", "/v1/Alerts").body["alerts"]
    assert (alert["error_code"], alert["resource_sid"]) == ("30001", receipt["message_sid"])


def test_date_of_a_message_does_not_make_a_throttled_copy_fail(machine: Machine) -> None:
    machine.carrier.answers = [CarrierThrottledError()]
    conversation = conversation_with(machine.instance, PAIR)
    conversation.messages.create(body="Hello", date_created=datetime(2020, 1, 1, tzinfo=UTC))
    machine.instance.work()
    assert statuses(machine.instance) == ["queued"]
    machine.later(6)
    assert statuses(machine.instance) == ["sent"]


def limit_sender(instance: Instance, limit: int, address: str = BUSINESS) -> None:
    requested = NewSender(address=address, provider="simulated", max_messages_per_second=limit)
    now = instance.account.date_created
    assert SenderRepository(instance.table).create(requested.sender(instance.account.sid, "XE" + "0" * 32, now))


@pytest.mark.each_engine
def test_copy_over_the_limit_of_its_sender_waits_and_uses_up_no_attempt(clocked: Instance, clock: ManualClock) -> None:
    limit_sender(clocked, 1)
    conversation = conversation_with(clocked, PAIR, OTHER_PAIR)
    conversation.messages.create(author="alice", body="Hello")
    clocked.work()
    assert Counter(statuses(clocked)) == {"delivered": 1, "queued": 1}
    (waiting,) = (receipt for receipt in clocked.items("receipt#") if receipt["status"] == "queued")
    assert "attempts" not in waiting
    # Even if the queue delivers the copy too early, the message sender does not send the copy in this second.
    sender = Program(edges_of(clocked)).message_sender
    copy = Copy.of(items.to_resource(Receipt, waiting), clock.now())
    with pytest.raises(RetryLaterError) as delayed:
        sender.begin(copy)
    clock.move(timedelta(seconds=delayed.value.seconds))
    begun = sender.begin(copy)
    assert begun
    assert begun.stored.receipt.attempts == 1


def test_limited_sender_sends_in_order_and_does_not_delay_other_senders(machine: Machine) -> None:
    limit_sender(machine.instance, 2)
    other_business = "+15017122662"
    conversation = conversation_with(machine.instance, PAIR)
    other = conversation_with(machine.instance, PAIR.replace(BUSINESS, other_business).replace(PHONE, OTHER_PHONE))
    for number in range(7):
        conversation.messages.create(body=str(number))
        other.messages.create(body=str(number))
    started = machine.instance.engine.edges.now()
    machine.instance.work()
    sent = machine.carrier.sent
    assert len([copy for copy in sent if copy.sender.address == other_business]) == 7
    assert len([copy for copy in sent if copy.sender.address == BUSINESS]) <= 2
    while len(sent) < 14:
        before = len(sent)
        machine.later(1)
        assert len(sent) - before <= 2
    assert machine.instance.engine.edges.now() - started <= timedelta(seconds=6)
    assert [copy.text for copy in sent if copy.sender.address == BUSINESS] == [str(number) for number in range(7)]
    assert {receipt["attempts"] for receipt in machine.instance.items("receipt#")} == {1}


def test_running_instance_sends_copies_at_the_limit_of_their_sender() -> None:
    phones = [f"+1555867531{digit}" for digit in range(6)]
    limit = {"Address": BUSINESS, "Provider": "simulated", "MaxMessagesPerSecond": "3"}
    start = int(time.time())
    with running() as served:
        client = served.client()
        created = client.request("POST", f"{served.url}/convoke/v1/Senders", data=limit, auth=client.auth)
        sender_sid = json.loads(created.text)["sid"]
        asked = client.conversations.v1.conversation_with_participants
        sid = asked.create(participant=[PAIR.replace(PHONE, phone) for phone in phones]).sid
        served.settle()
        client.conversations.v1.conversations(sid).messages.create(author="alice", body="Hello")
        until = time.monotonic() + TIMEOUT_SECONDS
        while sum(len(served.phone(phone).inbox) for phone in phones) < 6:
            assert time.monotonic() < until
            time.sleep(0.05)
        seconds = range(start, int(time.time()) + 1)
        counters = [keys.sending_second(served.account_sid, sender_sid, second) for second in seconds]
        stored = served._engine.table.get_many(counters)
    sent = [int(str(item["copies"])) for item in stored.values()]
    assert (sum(sent), max(sent)) == (6, 3)


def test_copy_over_the_limit_for_hours_fails(machine: Machine) -> None:
    limit_sender(machine.instance, 1)
    conversation_with(machine.instance, PAIR).messages.create(body="Hello")
    (stored,) = machine.instance.items("receipt#")
    now = machine.instance.engine.edges.now()
    copy = Copy.of(items.to_resource(Receipt, stored), now - MAX_DELAY)
    sender = machine.instance.engine.program.message_sender
    found = sender.find_sender(machine.instance.account.sid, BUSINESS)
    assert found
    sender.limits.pause_before(found, now)
    assert sender.begin(copy) is None
    (receipt,) = machine.instance.items("receipt#")
    assert (receipt["status"], receipt["error_code"]) == ("failed", 30001)


def test_copy_that_the_carrier_refuses_is_never_tried_again(machine: Machine) -> None:
    machine.carrier.answers = [CarrierRefusedError(PhoneUnknownError)]
    machine.send("Hello")
    machine.later(3600)
    (receipt,) = machine.instance.items("receipt#")
    assert (receipt["status"], receipt["error_code"], receipt["attempts"]) == ("failed", 30005, 1)


def test_copy_with_an_unknown_outcome_is_tried_again_and_marked(machine: Machine) -> None:
    machine.carrier.answers = [OSError("the connection broke")]
    machine.send("Hello")
    assert statuses(machine.instance) == ["sending"]
    machine.later(6)
    (receipt,) = machine.instance.items("receipt#")
    assert (receipt["status"], receipt["may_be_repeated"]) == ("sent", True)


def test_failure_before_the_call_does_not_look_like_a_lost_outcome(instance: EmbeddedInstance) -> None:
    conversation = conversation_with(instance, PAIR)
    conversation.messages.create(media_sid=media_sid(instance))
    copy = Copy.of(items.to_resource(Receipt, instance.items("receipt#")[0]))

    def fail() -> MediaOperations:
        raise LookupError

    sender = instance.engine.program.message_sender
    with pytest.raises(LookupError):
        replace(sender, links_to=replace(sender.links_to, operations=fail)).begin(copy)
    assert statuses(instance) == ["queued"]
    instance.work()
    assert statuses(instance) == ["delivered"]


def test_unknown_outcome_of_a_call_is_logged_in_one_line(machine: Machine, caplog: pytest.LogCaptureFixture) -> None:
    machine.carrier.answers = [CarrierOutcomeUnknownError("no answer within 13 s")]
    machine.send("Hello")
    (record,) = [record for record in caplog.records if "carrier" in record.getMessage()]
    assert record.getMessage() == "the outcome of a call to a carrier is unknown: no answer within 13 s"
    assert (record.levelname, record.exc_info) == ("WARNING", None)
    assert statuses(machine.instance) == ["sending"]


@pytest.mark.parametrize(
    ("outcome", "after"),
    [
        (None, ("queued", 0)),
        (CopyOutcome(), ("queued", 0)),
        (CopyOutcome(is_throttled=True), ("queued", 0)),
        (CopyOutcome(is_unknown=True), ("sending", 1)),
    ],
)
def test_copy_whose_call_the_shutdown_prevents_is_not_marked(
    instance: EmbeddedInstance, outcome: CopyOutcome | None, after: tuple[str, int]
) -> None:
    conversation_with(instance, PAIR).messages.create(body="Hello")
    program, queue = instance.engine.program, instance.engine.queue
    deliveries = Deliveries(queue, program.webhook_delivery, lambda: program.message_sender)
    (stored,) = instance.items("receipt#")
    program.message_sender.queue.send([Copy.of(items.to_resource(Receipt, stored))])
    (line,) = queue.receivers()
    message = queue.receive(line)
    assert message is not None
    begun = deliveries.begin(message)
    assert begun is not None
    deliveries.interrupt(message, begun, outcome)
    (receipt,) = instance.items("receipt#")
    assert (receipt["status"], receipt.get("attempts", 0)) == after
    assert queue.receivers() == [line]


def test_copies_of_a_group_name_the_author_if_the_carrier_has_no_group_mms(machine: Machine) -> None:
    conversation = conversation_with(machine.instance, *GROUP_MMS)
    conversation.messages.create(author=PHONE, body="Hello")
    machine.instance.work()
    (copy,) = machine.carrier.sent
    assert (copy.sender.address, copy.address, copy.text) == (BUSINESS, OTHER_PHONE, f"{PHONE}: Hello")
    (last,) = machine.instance.items(conversation.fetch().sid)
    assert last["date_sent"]


def test_copy_without_a_sender_fails(tmp_path: Path) -> None:
    with held_instance(str(tmp_path / "convoke.db"), simulates_phones=False) as instance:
        conversation = conversation_with(instance, PAIR)
        conversation.messages.create(body="Hello")
        instance.work()
        (receipt,) = instance.items("receipt#")
        assert (receipt["status"], receipt["error_code"]) == ("failed", 21703)
