"""Convoke adds a message from a phone to the correct conversation.

If there is no such conversation, the address configuration can make Convoke create one. Otherwise the message is not
stored.

See docs/behaviour/inbound-messages.md.
"""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from datetime import datetime, timedelta
from pathlib import Path
from threading import Barrier
from typing import Any

import pytest

from convoke.domain import instants
from convoke.domain.retention import INBOUND_RECORD_LIFETIME
from convoke.domain.senders import Provider
from convoke.operations.conversations import sleep_before_retry
from convoke.storage.inbound_messages import group_copy_write
from tests.api.test_message_sender import FakeCarrier
from tests.support.instances import EmbeddedInstance, Instance, held_instance
from tests.support.manual_clock import ManualClock
from tests.support.phones import BUSINESS, OTHER_PHONE, PHONE, URL, configure, conversation_with, text

EVENTS = ["onConversationAdded", "onParticipantAdded", "onMessageAdded", "onConversationStateUpdated"]

GROUP_PHONES = ("+15558675312", "+15558675313")


def pair(address: str = PHONE, proxy_address: str = BUSINESS) -> str:
    return json.dumps({"messaging_binding": {"address": address, "proxy_address": proxy_address}})


def group(*phones: str) -> list[str]:
    bindings = [{"address": phone} for phone in phones] + [{"projected_address": BUSINESS}]
    return [json.dumps({"messaging_binding": binding}) for binding in bindings]


def bodies(conversation: Any) -> list[str]:
    return [message.body for message in conversation.messages.list()]


def events_since(instance: Instance, earlier: int) -> list[dict[str, str]]:
    """Return the payloads of the events of all changes, except the first `earlier` changes."""
    return [event["payload"] for change in instance.changes()[earlier:] for event in change["events"]]


def test_message_goes_to_the_open_conversation_with_the_pair(embedded: EmbeddedInstance) -> None:
    conversation = conversation_with(embedded, '{"identity": "alice"}', pair())
    configure(embedded)
    received = text(embedded, "Hi Alice")
    assert (received.status, received.body["outcome"]) == (201, "added")
    assert received.body["conversation_sid"] == conversation.fetch().sid
    (message,) = conversation.messages.list()
    assert (message.sid, message.author, message.body) == (received.body["message_sid"], PHONE, "Hi Alice")
    (phone,) = [each for each in conversation.participants.list() if each.messaging_binding]
    assert message.participant_sid == phone.sid
    assert len(embedded.items("conversation")) == 1


def test_message_sends_copies_to_the_other_members_outside_chat(embedded: EmbeddedInstance) -> None:
    conversation = conversation_with(embedded, pair(), pair(OTHER_PHONE))
    text(embedded)
    (message,) = conversation.messages.list()
    (receipt,) = conversation.messages(message.sid).delivery_receipts.list()
    by_sid = {each.sid: each.messaging_binding["address"] for each in conversation.participants.list()}
    assert by_sid[receipt.participant_sid] == OTHER_PHONE


def test_message_wakes_an_inactive_conversation(embedded: EmbeddedInstance) -> None:
    conversation = conversation_with(embedded, pair())
    conversation.update(state="inactive")
    text(embedded)
    assert conversation.fetch().state == "active"


@pytest.mark.parametrize("end", ["close", "delete"])
def test_closed_or_deleted_conversation_gets_no_message(embedded: EmbeddedInstance, end: str) -> None:
    conversation = conversation_with(embedded, pair())
    conversation.update(state="closed") if end == "close" else conversation.delete()
    assert text(embedded).body["outcome"] == "unclaimed"
    configure(embedded)
    received = text(embedded).body
    assert received["outcome"] == "added"
    assert received["conversation_sid"] != conversation._solution["sid"]


def test_message_waits_for_the_end_of_initializing(embedded: EmbeddedInstance) -> None:
    """The message arrives before the participants are added. Convoke adds the message after the participants."""
    configure(embedded)
    created = embedded.client().conversations.v1.conversation_with_participants.create(participant=[pair()])
    pauses = list[float]()

    def add_participants(pause: float) -> None:
        pauses.append(pause)
        embedded.work()

    token = sleep_before_retry.set(add_participants)
    try:
        assert text(embedded).body["conversation_sid"] == created.sid
    finally:
        sleep_before_retry.reset(token)
    assert len(pauses) == 1


def test_webhooks_get_the_message_without_the_header_of_a_request(embedded: EmbeddedInstance) -> None:
    embedded.client().conversations.v1.configuration.webhooks().update(post_webhook_url=URL, filters=EVENTS)
    conversation_with(embedded, pair())
    embedded.receivers.posted.clear()
    text(embedded)
    embedded.work()
    (posted,) = embedded.receivers.posted
    assert (posted.event.type, posted.event.payload["Source"]) == ("onMessageAdded", "SMS")


def test_receiver_of_a_pre_event_replaces_or_rejects_a_message(embedded: EmbeddedInstance) -> None:
    embedded.client().conversations.v1.configuration.webhooks().update(pre_webhook_url=URL, filters=["onMessageAdd"])
    conversation = conversation_with(embedded, pair())
    embedded.receivers.bodies, embedded.receivers.statuses = [b'{"body": "edited"}'], [200, 403]
    assert text(embedded).body["outcome"] == "added"
    assert text(embedded).body["outcome"] == "rejected"
    assert bodies(conversation) == ["edited"]


def test_message_that_nobody_expects_is_not_stored(
    embedded: EmbeddedInstance, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")
    configure(embedded, "+15017122662")
    addresses = embedded.client().conversations.v1.address_configurations
    addresses.create(type="sms", address=BUSINESS, auto_creation_enabled=False)
    assert text(embedded, "a secret").body == {
        "account_sid": embedded.account.sid,
        "outcome": "unclaimed",
        "conversation_sid": None,
        "message_sid": None,
    }
    assert embedded.items("message#") == embedded.items("conversation") == embedded.items("inbound") == []
    (logged,) = [record for record in caplog.records if record.getMessage() == "inbound message received"]
    assert vars(logged)["outcome"] == "unclaimed"
    assert not any(private in str(vars(record)) for private in (PHONE, "a secret") for record in caplog.records)


def test_autocreation_creates_the_conversation_its_participant_and_the_message(embedded: EmbeddedInstance) -> None:
    service = embedded.client().conversations.v1.services.create(friendly_name="Support").sid
    configure(embedded, auto_creation_conversation_service_sid=service)
    received = text(embedded, "Is anybody there?").body
    conversation = embedded.client().conversations.v1.services(service).conversations(received["conversation_sid"])
    assert conversation.fetch().state == "active"
    (participant,) = conversation.participants.list()
    assert participant.messaging_binding == {"type": "sms", "address": PHONE, "proxy_address": BUSINESS}
    assert bodies(conversation) == ["Is anybody there?"]
    events = events_since(embedded, 0)
    assert [event["EventType"] for event in events] == EVENTS[:3]
    assert {event["Source"] for event in events} == {"SMS"}
    assert (events[0]["MessagingBinding.Address"], events[0]["MessagingBinding.ProxyAddress"]) == (PHONE, BUSINESS)
    assert {"MessageBody", "MessagingBinding.AuthorAddress"}.isdisjoint(events[0])
    assert text(embedded, "Hello?").body["conversation_sid"] == received["conversation_sid"]


def test_autocreated_conversation_has_the_default_timers_and_messaging_service(embedded: EmbeddedInstance) -> None:
    v1 = embedded.client().conversations.v1
    v1.configuration().update(default_inactive_timer="PT1M")
    configure(embedded)
    conversation = v1.conversations(text(embedded).body["conversation_sid"]).fetch()
    assert conversation.timers["date_inactive"] is not None
    assert conversation.messaging_service_sid == v1.configuration().fetch().default_messaging_service_sid


def test_webhook_of_the_address_configuration_gets_the_first_message(embedded: EmbeddedInstance) -> None:
    configure(
        embedded,
        auto_creation_type="webhook",
        auto_creation_webhook_url=URL,
        auto_creation_webhook_filters=["onMessageAdded"],
    )
    received = text(embedded, "first").body
    embedded.work()
    (posted,) = embedded.receivers.posted
    assert (posted.url, posted.event.payload["Body"]) == (URL, "first")
    webhooks = embedded.client().conversations.v1.conversations(received["conversation_sid"]).webhooks.list()
    assert [(each.target, each.configuration["url"]) for each in webhooks] == [("webhook", URL)]


def test_studio_flow_of_the_address_configuration_is_attached(embedded: EmbeddedInstance) -> None:
    flow = "FW" + "0" * 32
    configure(embedded, auto_creation_type="studio", auto_creation_studio_flow_sid=flow)
    conversation = embedded.client().conversations.v1.conversations(text(embedded).body["conversation_sid"])
    (webhook,) = conversation.webhooks.list()
    assert (webhook.target, webhook.configuration) == ("studio", {"flow_sid": flow})


def ask_before_conversations(instance: Instance) -> None:
    webhooks = instance.client().conversations.v1.configuration.webhooks()
    webhooks.update(pre_webhook_url=URL, filters=["onConversationAdd", "onMessageAdd", "onParticipantAdd"])


def test_pre_event_about_the_new_conversation_has_the_message_and_the_addresses(embedded: EmbeddedInstance) -> None:
    ask_before_conversations(embedded)
    configure(embedded)
    embedded.receivers.bodies = [b'{"friendly_name": "A new customer"}']
    received = text(embedded, "Hi").body
    (posted,) = embedded.receivers.posted
    payload = dict(posted.event.payload)
    assert payload["EventType"] == "onConversationAdd"
    assert payload["MessageBody"] == "Hi"
    assert payload["MessagingBinding.Address"] == PHONE
    assert payload["MessagingBinding.ProxyAddress"] == BUSINESS
    assert payload["Source"] == "SMS"
    assert {"ConversationSid", "MessagingBinding.AuthorAddress"}.isdisjoint(payload)
    conversation = embedded.client().conversations.v1.conversations(received["conversation_sid"])
    assert conversation.fetch().friendly_name == "A new customer"


def test_rejected_pre_event_drops_the_message(embedded: EmbeddedInstance) -> None:
    ask_before_conversations(embedded)
    configure(embedded)
    embedded.receivers.statuses = [403]
    assert text(embedded).body["outcome"] == "rejected"
    assert embedded.items("conversation") == embedded.items("message#") == []


@pytest.mark.parametrize("word", ["STOP", " stop ", "Unsubscribe"])
def test_stop_of_an_unknown_phone_creates_no_conversation(embedded: EmbeddedInstance, word: str) -> None:
    configure(embedded)
    assert text(embedded, word).body["outcome"] == "unclaimed"
    conversation = conversation_with(embedded, pair())
    assert text(embedded, word).body["outcome"] == "added"
    assert bodies(conversation) == [word]


def test_group_message_goes_to_the_group_with_the_same_numbers(embedded: EmbeddedInstance) -> None:
    """The numbers of the sender and of all receivers identify a group.

    A second conversation has the sender's number and the business number as its address pair. The message must not go
    to the second conversation.
    """
    configure(embedded)
    alone = conversation_with(embedded, pair())
    conversation = conversation_with(embedded, *group(PHONE, OTHER_PHONE))
    received = text(embedded, "to all", OTHER_PHONE, BUSINESS).body
    assert received["conversation_sid"] == conversation.fetch().sid
    assert (bodies(conversation), bodies(alone)) == (["to all"], [])
    (message,) = conversation.messages.list()
    assert message.delivery is None, "the carrier has delivered the message to the other phones already"


def test_message_to_one_receiver_goes_to_the_pair_and_not_to_a_group(embedded: EmbeddedInstance) -> None:
    alone = conversation_with(embedded, pair())
    conversation = conversation_with(embedded, *group(PHONE, OTHER_PHONE))
    text(embedded, "only you")
    assert (bodies(conversation), bodies(alone)) == ([], ["only you"])


def test_group_message_creates_a_group(embedded: EmbeddedInstance) -> None:
    ask_before_conversations(embedded)
    configure(embedded)
    received = text(embedded, "to all", BUSINESS, *GROUP_PHONES).body
    conversation = embedded.client().conversations.v1.conversations(received["conversation_sid"])
    assert conversation.fetch().state == "active"
    bindings = [each.messaging_binding for each in conversation.participants.list()]
    assert [binding.get("address") for binding in bindings] == [PHONE, *GROUP_PHONES, None]
    assert bindings[-1] == {"type": "sms", "projected_address": BUSINESS}
    (pre_event,) = embedded.receivers.posted
    for payload in (pre_event.event.payload, events_since(embedded, 0)[0]):
        assert payload["MessagingBinding.AuthorAddress"] == PHONE
        assert payload["MessagingBinding.Address"] == ",".join((BUSINESS, *GROUP_PHONES))
        assert "MessagingBinding.ProxyAddress" not in payload
    events = events_since(embedded, 0)
    assert [event["EventType"] for event in events] == [
        "onConversationAdded",
        *["onParticipantAdded"] * 4,
        "onMessageAdded",
        "onConversationStateUpdated",
    ]
    assert events[0]["State"] == events[-1]["StateFrom"] == "initializing"
    assert (events[-1]["StateTo"], events[-1]["Reason"]) == ("active", "EVENT")
    answer = text(embedded, "me too", PHONE, BUSINESS, GROUP_PHONES[1], sender=GROUP_PHONES[0]).body
    assert answer["conversation_sid"] == received["conversation_sid"]


def send_copy(instance: Instance, conversation: Any, at: datetime) -> None:
    """Store a record of a copy that `BUSINESS` sent to `PHONE` at the time `at`.

    `conversation` is the group from which the copy comes.
    """
    sid = conversation._solution["sid"]
    instance.table.transact([group_copy_write(instance.account.sid, sid, PHONE, BUSINESS, at)])


def test_answer_to_a_copy_goes_to_the_open_group_with_the_last_copy(clocked: EmbeddedInstance) -> None:
    now = instants.now()
    groups = [conversation_with(clocked, *group(PHONE, phone)) for phone in (OTHER_PHONE, *GROUP_PHONES)]
    earliest, last, other = groups
    configure(clocked)
    send_copy(clocked, last, now + timedelta(seconds=1))
    send_copy(clocked, earliest, now)
    send_copy(clocked, last, now + timedelta(seconds=2))
    assert text(clocked, "to the last").body["outcome"] == "added"
    assert bodies(last) == ["to the last"]
    (message,) = last.messages.list()
    assert message.delivery["total"] == 1, "the carrier has not delivered the answer to the other phone"
    last.update(state="closed")
    text(clocked, "to the earliest")
    assert (bodies(earliest), bodies(other)) == (["to the earliest"], [])
    earliest.delete()
    created = text(clocked, "to a new conversation").body["conversation_sid"]
    assert created not in {each._solution["sid"] for each in groups}


def test_phones_of_a_group_talk_through_copies(tmp_path: Path) -> None:
    """The carrier cannot send a group MMS.

    Therefore each phone gets its own copy, and answers only to the business number.
    """
    carrier = FakeCarrier()
    carriers = {Provider.SIMULATED: carrier}
    with held_instance(str(tmp_path / "convoke.db"), carriers=carriers) as instance:
        first, second = (conversation_with(instance, *group(PHONE, phone)) for phone in (OTHER_PHONE, GROUP_PHONES[0]))
        for conversation in (second, first):
            conversation.messages.create(author=BUSINESS, body="Hello")
            instance.work()
        text(instance, "Hi")
        instance.work()
        assert bodies(first) == ["Hello", "Hi"]
        sent = [(copy.address, copy.text) for copy in carrier.sent]
        assert sent[-1] == (OTHER_PHONE, f"{PHONE}: Hi")
        assert len(sent) == 5
        text(instance, "Hi too", sender=GROUP_PHONES[0])
        assert bodies(second) == ["Hello", "Hi too"]


def test_group_message_is_not_an_answer_to_a_copy(embedded: EmbeddedInstance) -> None:
    conversation = conversation_with(embedded, *group(PHONE, OTHER_PHONE))
    send_copy(embedded, conversation, instants.now())
    assert text(embedded, "to others", BUSINESS, GROUP_PHONES[0]).body["outcome"] == "unclaimed"


def test_pair_comes_before_the_group_with_the_last_copy(embedded: EmbeddedInstance) -> None:
    send_copy(embedded, conversation_with(embedded, *group(PHONE, OTHER_PHONE)), instants.now())
    alone = conversation_with(embedded, pair())
    text(embedded, "only you")
    assert bodies(alone) == ["only you"]


@pytest.mark.parametrize(
    ("receivers", "sender", "code"),
    [
        ((BUSINESS,), BUSINESS, 50409),
        (("whatsapp:" + BUSINESS,), PHONE, 50414),
        ((BUSINESS, PHONE), PHONE, 50437),
        ((BUSINESS, "+16715550123"), PHONE, 50407),
        ((BUSINESS, OTHER_PHONE), "+447911123456", 50407),
        ((BUSINESS, *(f"+155586753{number}" for number in range(20, 30))), PHONE, 50436),
        ((",",), PHONE, 50411),
    ],
)
def test_message_with_impossible_addresses_is_refused(
    embedded: EmbeddedInstance, receivers: tuple[str, ...], sender: str, code: int
) -> None:
    configure(embedded)
    refused = text(embedded, "Hello", *receivers, sender=sender)
    assert (refused.status, refused.body["code"]) == (400 if code != 50437 else 409, code)
    assert embedded.items("conversation") == []


def test_empty_message_is_refused(embedded: EmbeddedInstance) -> None:
    configure(embedded)
    assert text(embedded, None).body["code"] == 50503
    conversation_with(embedded, pair())
    assert text(embedded, None).body["code"] == 50503


def test_message_that_is_delivered_again_is_stored_once(clocked: EmbeddedInstance, clock: ManualClock) -> None:
    ask_before_conversations(clocked)
    configure(clocked)
    first, again = (text(clocked, MessageSid="SM" + "0" * 32).body for _ in range(2))
    assert again == {**first, "outcome": "repeated"}
    assert len(clocked.receivers.posted) == 1, "a repeated delivery sends no pre-event"
    (record,) = clocked.items("inbound")
    assert record["expires_at"] == int((clock.now() + INBOUND_RECORD_LIFETIME).timestamp())
    clock.move(INBOUND_RECORD_LIFETIME + timedelta(seconds=1))
    assert text(clocked, MessageSid="SM" + "0" * 32).body["outcome"] == "added"


def test_second_delivery_during_the_first_is_stored_once(embedded: EmbeddedInstance) -> None:
    """A message is delivered twice: the second delivery arrives while the first waits for the answer to a pre-event.

    Convoke stores the message of the second delivery. Then the conversation is closed, and the first delivery
    continues.
    """
    ask_before_conversations(embedded)
    configure(embedded)
    stored = list[str]()

    def deliver_again() -> None:
        embedded.receivers.on_call = lambda: None
        conversation = conversation_with(embedded, pair())
        stored.append(text(embedded, MessageSid="SM" + "0" * 32).body["message_sid"])
        conversation.update(state="closed")

    embedded.receivers.on_call = deliver_again
    received = text(embedded, MessageSid="SM" + "0" * 32).body
    assert (received["outcome"], [received["message_sid"]]) == ("repeated", stored)
    assert len(embedded.items("message#")) == 1


def test_number_that_the_account_no_longer_owns_creates_no_conversation(embedded: EmbeddedInstance) -> None:
    configure(embedded)
    embedded.call("POST", "/convoke/v1/Configuration", {"OwnedAddresses": "+15017122662"})
    embedded.clear_caches()
    assert text(embedded).body["code"] == 50413


WRITERS = 20


@pytest.mark.parametrize("processes", [1, 2])
@pytest.mark.parametrize("receivers", [(BUSINESS,), (BUSINESS, OTHER_PHONE)], ids=["one-to-one", "group"])
def test_simultaneous_first_messages_make_one_conversation(
    tmp_path: Path, processes: int, receivers: tuple[str, ...]
) -> None:
    with ExitStack() as stack:
        file = str(tmp_path / "convoke.db")
        instances = [stack.enter_context(held_instance(file)) for _ in range(processes)]
        configure(instances[0])
        together = Barrier(WRITERS)

        def write(writer: int) -> str:
            together.wait()
            received = text(instances[writer % processes], str(writer), *receivers).body
            assert received["outcome"] == "added"
            return str(received["conversation_sid"])

        with ThreadPoolExecutor(WRITERS) as pool:
            sids = set(pool.map(write, range(WRITERS)))
        (sid,) = sids
        conversation = instances[0].client().conversations.v1.conversations(sid)
        assert sorted(bodies(conversation), key=int) == [str(writer) for writer in range(WRITERS)]
        assert len(instances[0].items("conversation")) == 1


def test_simultaneous_deliveries_of_one_message_store_it_once(tmp_path: Path) -> None:
    with held_instance(str(tmp_path / "convoke.db")) as instance:
        configure(instance)
        together = Barrier(WRITERS)

        def write(_: int) -> tuple[str, str]:
            together.wait()
            received = text(instance, MessageSid="SM" + "0" * 32).body
            return received["outcome"], received["message_sid"]

        with ThreadPoolExecutor(WRITERS) as pool:
            outcomes = list(pool.map(write, range(WRITERS)))
        assert sorted(outcome for outcome, _ in outcomes) == ["added", *["repeated"] * (WRITERS - 1)]
        assert len({sid for _, sid in outcomes}) == len(instance.items("message#")) == 1
