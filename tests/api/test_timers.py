"""Timers make a conversation inactive and then closed. See docs/behaviour/states-and-timers.md#timers."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

import pytest

from convoke.domain.conversations import Conversation
from convoke.domain.errors import InvalidRoleSidError
from convoke.domain.provisioning import Provisioning
from convoke.lean_dataclass import lean_dataclass
from convoke.storage.conversations import ConversationRepository
from convoke.storage.due import DUE_PAGE_SIZE, DueRepository
from convoke.storage.provisioning import ProvisioningRepository
from convoke.storage.table import ConditionFailedError, Item, Put, Update
from tests.support.examples import CHAT_AND_SMS, GROUP_MMS
from tests.support.instances import EmbeddedInstance, Instance, held_instance
from tests.support.manual_clock import ManualClock
from tests.support.sweepers import with_due_conversations

NOW = timedelta(0)
SECOND, MINUTE = timedelta(seconds=1), timedelta(minutes=1)
LONG_AFTER = timedelta(days=1)

Meanwhile = Callable[[], object]


@pytest.fixture
def clock() -> ManualClock:
    """Return a clock without fractions of a second, because dates in responses have no fractions."""
    made = ManualClock()
    made.present = made.present.replace(microsecond=0)
    return made


@pytest.fixture
def embedded(clock: ManualClock) -> Iterator[EmbeddedInstance]:
    with held_instance(now=clock.now) as made:
        yield made


def configure_webhook(instance: Instance) -> None:
    webhooks = instance.client().conversations.v1.configuration.webhooks()
    webhooks.update(post_webhook_url="https://hooks.example.com/", filters=["onConversationStateUpdated"])


def delivered_states(instance: Instance) -> list[tuple[str, ...]]:
    """Deliver every pending event. Return the old state, new state and reason of all state events delivered so far."""
    instance.work()
    payloads = [delivery.event.payload for delivery in instance.receivers.posted]
    return [tuple(payload[name] for name in ("StateFrom", "StateTo", "Reason")) for payload in payloads]


def create(instance: Instance, **parameters: Any) -> Any:
    """Create a conversation with an inactive timer and a closed timer. `parameters` can override the timers."""
    timers = {"timers_inactive": "PT1M", "timers_closed": "PT10M"}
    return instance.client().conversations.v1.conversations.create(**{**timers, **parameters})


def due_at(instance: Instance) -> object:
    (conversation,) = instance.items("conversation")
    assert ("due_shard" in conversation) is ("due_at" in conversation)
    return conversation.get("due_at")


def moments(shown: Any) -> dict[str, datetime]:
    return {name: datetime.fromisoformat(value) for name, value in shown.timers.items()}


@pytest.mark.each_engine
def test_timers_set_inactive_and_closed_to_the_second(clocked: Instance, clock: ManualClock) -> None:
    configure_webhook(clocked)
    conversation, begun = create(clocked), clock.present
    both = {"date_inactive": begun + MINUTE, "date_closed": begun + 10 * MINUTE}
    expected = {
        59 * SECOND: ("active", both, begun),
        MINUTE: ("inactive", both, begun + MINUTE),
        10 * MINUTE - SECOND: ("inactive", both, begun + MINUTE),
        10 * MINUTE: ("closed", {}, begun + 10 * MINUTE),
    }
    for after, state in expected.items():
        clock.present = begun + after
        clocked.sweep(NOW)
        shown = conversation.fetch()
        assert (shown.state, moments(shown), shown.date_updated) == state
    assert delivered_states(clocked) == [("active", "inactive", "TIMER"), ("inactive", "closed", "TIMER")]
    clock.move(LONG_AFTER)
    assert (clocked.sweep(NOW), due_at(clocked)) == (0, None)


def test_timer_event_has_time_of_state_change(clocked: Instance, clock: ManualClock) -> None:
    configure_webhook(clocked)
    sid = create(clocked).sid
    clock.move(MINUTE)
    clocked.sweep(NOW)
    clocked.work()
    (delivery,) = clocked.receivers.posted
    assert delivery.event.occurred_at == clock.present
    assert delivery.event.payload == {
        "EventType": "onConversationStateUpdated",
        "AccountSid": clocked.account.sid,
        "ChatServiceSid": clocked.account.default_chat_service_sid,
        "MessagingServiceSid": clocked.account.default_messaging_service_sid,
        "ConversationSid": sid,
        "Source": "API",
        "StateUpdated": clock.present.isoformat(timespec="milliseconds").replace("+00:00", "Z"),
        "StateFrom": "active",
        "StateTo": "inactive",
        "Reason": "TIMER",
    }


@pytest.mark.each_engine
def test_timers_start_after_participants_are_added(clocked: Instance, clock: ManualClock) -> None:
    v1 = clocked.client().conversations.v1
    sid = v1.conversation_with_participants.create(participant=CHAT_AND_SMS, timers_inactive="PT1M").sid
    clocked.lose_messages()
    clock.move(5 * MINUTE)
    assert clocked.sweep(NOW) == 1
    assert v1.conversations(sid).fetch().state == "initializing"
    clocked.work()
    shown = v1.conversations(sid).fetch()
    assert (shown.state, moments(shown)) == ("active", {"date_inactive": clock.present + MINUTE})
    clock.move(MINUTE)
    clocked.sweep(NOW)
    assert v1.conversations(sid).fetch().state == "inactive"


def test_timers_do_not_run_for_failed_conversation(clock: ManualClock) -> None:
    def refuse(*_: object) -> None:
        raise InvalidRoleSidError

    with held_instance(now=clock.now, admit=refuse) as instance:
        v1 = instance.client().conversations.v1
        v1.conversation_with_participants.create(participant=CHAT_AND_SMS, timers_closed="PT10M")
        instance.work()
        (conversation,) = instance.items("conversation")
        assert (conversation["state"], due_at(instance)) == ("closed", None)


@pytest.mark.each_engine
@pytest.mark.parametrize("restart", ["message", "update", "participant"])
def test_activity_restarts_timers_without_index_write(clocked: Instance, clock: ManualClock, restart: str) -> None:
    conversation, begun = create(clocked), clock.present
    before = due_at(clocked)
    clock.move(30 * SECOND)
    if restart == "message":
        conversation.messages.create(body="Hello")
    elif restart == "update":
        conversation.update(friendly_name="Visit")
    else:
        conversation.participants.create(identity="alice")
    assert due_at(clocked) == before
    clock.present = begun + MINUTE
    assert clocked.sweep(NOW) == 1
    assert conversation.fetch().state == "active"
    assert moments(conversation.fetch()) == {"date_inactive": begun + 90 * SECOND, "date_closed": begun + 630 * SECOND}
    assert clocked.sweep(NOW) == 0
    clock.present = begun + 90 * SECOND
    clocked.sweep(NOW)
    assert conversation.fetch().state == "inactive"


@pytest.mark.each_engine
def test_postponing_a_timer_makes_no_event_and_no_visible_change(clocked: Instance, clock: ManualClock) -> None:
    conversation = create(clocked)
    clock.move(30 * SECOND)
    conversation.messages.create(body="Hello")
    shown, changes = clocked.call("GET", f"/v1/Conversations/{conversation.sid}").text, clocked.changes()
    clock.move(30 * SECOND)
    assert clocked.sweep(NOW) == 1
    assert clocked.call("GET", f"/v1/Conversations/{conversation.sid}").text == shown
    assert clocked.changes() == changes


@pytest.mark.each_engine
@pytest.mark.parametrize("by", ["message", "update"])
def test_reactivation_restarts_both_timers(clocked: Instance, clock: ManualClock, by: str) -> None:
    configure_webhook(clocked)
    conversation = create(clocked)
    clock.move(MINUTE)
    clocked.sweep(NOW)
    clock.move(5 * MINUTE)
    if by == "message":
        conversation.messages.create(body="Hello")
    else:
        conversation.update(state="active")
    again = clock.present
    assert moments(conversation.fetch()) == {"date_inactive": again + MINUTE, "date_closed": again + 10 * MINUTE}
    for after, state in {MINUTE - SECOND: "active", MINUTE: "inactive", 10 * MINUTE: "closed"}.items():
        clock.present = again + after
        clocked.sweep(NOW)
        assert conversation.fetch().state == state


@pytest.mark.each_engine
def test_shortened_timer_fires_earlier(clocked: Instance, clock: ManualClock) -> None:
    conversation = create(clocked, timers_inactive="P1D", timers_closed="P2D")
    conversation.update(timers_inactive="PT1M")
    clock.move(MINUTE)
    clocked.sweep(NOW)
    assert conversation.fetch().state == "inactive"


@pytest.mark.each_engine
def test_timer_added_by_update_fires(clocked: Instance, clock: ManualClock) -> None:
    conversation = create(clocked, timers_inactive="PT0S", timers_closed="PT0S")
    assert due_at(clocked) is None
    conversation.update(timers_closed="PT10M")
    clock.move(10 * MINUTE)
    clocked.sweep(NOW)
    assert conversation.fetch().state == "closed"


@pytest.mark.each_engine
def test_conversation_without_timers_is_not_due(clocked: Instance, clock: ManualClock) -> None:
    conversation = create(clocked)
    conversation.update(timers_inactive="PT0S", timers_closed="PT0S")
    assert due_at(clocked) is None
    conversation.update(timers_inactive="PT1M")
    conversation.update(state="inactive")
    assert "date_inactive" in conversation.fetch().timers
    assert due_at(clocked) is None
    conversation.update(timers_closed="PT10M")
    conversation.update(state="closed")
    assert due_at(clocked) is None


@pytest.mark.each_engine
def test_closed_timer_may_fire_before_inactive_timer(clocked: Instance, clock: ManualClock) -> None:
    configure_webhook(clocked)
    create(clocked, timers_inactive="P1D")
    clock.move(10 * MINUTE)
    clocked.sweep(NOW)
    assert delivered_states(clocked) == [("active", "closed", "TIMER")]


@pytest.mark.each_engine
def test_late_sweep_closes_conversation_directly(clocked: Instance, clock: ManualClock) -> None:
    configure_webhook(clocked)
    conversation = create(clocked)
    clock.move(LONG_AFTER)
    clocked.sweep(NOW)
    assert (conversation.fetch().state, delivered_states(clocked)) == ("closed", [("active", "closed", "TIMER")])


@pytest.mark.each_engine
@pytest.mark.parametrize("participants", [CHAT_AND_SMS, GROUP_MMS], ids=["pair", "group"])
def test_closed_timer_releases_addresses_and_keeps_unique_name(
    clocked: Instance, clock: ManualClock, participants: list[str]
) -> None:
    v1 = clocked.client().conversations.v1
    with_participants = v1.conversation_with_participants.create
    first = with_participants(unique_name="visit", participant=participants, timers_closed="PT10M").sid
    clocked.work()
    clock.move(10 * MINUTE)
    clocked.sweep(NOW)
    second = with_participants(participant=participants).sid
    clocked.work()
    assert [v1.conversations(sid).fetch().state for sid in ("visit", second)] == ["closed", "active"]
    assert v1.conversations("visit").fetch().sid == first


@pytest.mark.each_engine
def test_timer_never_decreases_date_updated(clocked: Instance, clock: ManualClock) -> None:
    ahead = clock.present + LONG_AFTER
    conversation = create(clocked, date_updated=ahead)
    clock.move(MINUTE)
    clocked.sweep(NOW)
    assert (conversation.fetch().state, conversation.fetch().date_updated) == ("inactive", ahead)


@pytest.mark.each_engine
def test_deleted_conversation_is_erased_regardless_of_timers(clocked: Instance, clock: ManualClock) -> None:
    configure_webhook(clocked)
    create(clocked).delete()
    clock.move(LONG_AFTER)
    assert clocked.sweep(NOW) == 1
    assert clocked.items("conversation") == []
    assert delivered_states(clocked) == []


def test_sweep_that_looks_ahead_fires_no_timer_early(embedded: EmbeddedInstance) -> None:
    """The first sweep of a process also finds conversations that are due later. Their timers must not fire yet."""
    conversation, before = create(embedded), embedded.items("")
    assert embedded.sweep(10 * MINUTE) == 1
    assert embedded.items("") == before
    assert conversation.fetch().state == "active"


# Races with the sweeper


@lean_dataclass
class OvertakenRepository(ProvisioningRepository):
    """A repository that calls `meanwhile` after each read of a conversation.

    `meanwhile` writes to the table, as another process could.
    """

    meanwhile: Meanwhile

    def fetch(self, account_sid: str, conversation_sid: str) -> tuple[Conversation, Provisioning | None] | None:
        found = ProvisioningRepository.fetch(self, account_sid, conversation_sid)
        self.meanwhile()
        return found


def sweep_overtaken_by(instance: EmbeddedInstance, meanwhile: Meanwhile) -> int:
    overtaken = OvertakenRepository(instance.table, meanwhile)
    return with_due_conversations(instance.engine.sweeper, provisionings=overtaken).sweep()


@pytest.mark.parametrize("timer", ["inactive", "closed"])
def test_message_before_state_change_stops_the_timer(
    embedded: EmbeddedInstance, clock: ManualClock, timer: str
) -> None:
    configure_webhook(embedded)
    conversation = create(embedded, **({"timers_inactive": "PT0S"} if timer == "closed" else {}))
    clock.move(MINUTE if timer == "inactive" else 10 * MINUTE)
    sweep_overtaken_by(embedded, lambda: conversation.messages.create(body="Wait"))
    shown = conversation.fetch()
    assert (shown.state, delivered_states(embedded)) == ("active", [])
    clock.present = moments(shown)[f"date_{timer}"]
    for _ in range(2):
        embedded.sweep(NOW)
    assert delivered_states(embedded) == [("active", timer, "TIMER")]


def test_timer_shortened_while_postponed_fires_in_time(embedded: EmbeddedInstance, clock: ManualClock) -> None:
    conversation = create(embedded, timers_inactive="PT1H", timers_closed="PT2H")
    clock.move(30 * MINUTE)
    conversation.messages.create(body="Hello")
    clock.move(30 * MINUTE)
    sweep_overtaken_by(embedded, lambda: conversation.update(timers_inactive="PT1M"))
    clock.move(MINUTE)
    embedded.sweep(NOW)
    assert conversation.fetch().state == "inactive"


def test_two_sweepers_fire_a_timer_once(
    embedded: EmbeddedInstance, clock: ManualClock, caplog: pytest.LogCaptureFixture
) -> None:
    configure_webhook(embedded)
    create(embedded)
    clock.move(MINUTE)
    sweep_overtaken_by(embedded, lambda: embedded.sweep(NOW))
    assert delivered_states(embedded) == [("active", "inactive", "TIMER")]
    assert [entry for entry in caplog.records if entry.levelno >= logging.WARNING] == []


@dataclass(frozen=True)
class InterruptedTable:
    """A table that calls one function in `meanwhile` each time the condition of an update fails.

    The table removes the function from `meanwhile`. If `meanwhile` is empty, the table calls nothing.
    """

    table: Any
    meanwhile: list[Meanwhile]

    def __getattr__(self, name: str) -> Any:
        return getattr(self.table, name)

    def update(self, update: Update) -> Item:
        try:
            updated: Item = self.table.update(update)
        except ConditionFailedError:
            if self.meanwhile:
                self.meanwhile.pop()()
            raise
        return updated


def test_update_during_settling_uses_its_new_timers(embedded: EmbeddedInstance) -> None:
    v1 = embedded.client().conversations.v1
    sid = v1.conversation_with_participants.create(participant=CHAT_AND_SMS, timers_inactive="P1D").sid
    embedded.run_steps()
    settled = v1.conversations(sid)
    (stored,) = embedded.items("conversation")
    assert stored["unsettled"] is False
    unsettled = {name: value for name, value in stored.items() if name not in {"due_shard", "due_at"}}
    embedded.table.transact([Put({**unsettled, "unsettled": True})])
    interrupted = InterruptedTable(embedded.table, [lambda: settled.update(timers_inactive="PT1M")])
    ConversationRepository(interrupted).settle(embedded.account.sid, sid)
    (after,) = embedded.items("conversation")
    assert (after["unsettled"], after["due_at"]) == (False, after["date_inactive"])


# Many conversations


def test_one_sweep_handles_1000_due_conversations_page_by_page(embedded: EmbeddedInstance, clock: ManualClock) -> None:
    for _ in range(1000):
        create(embedded)
        clock.move(timedelta(milliseconds=50))
    clock.move(MINUTE)
    pages = PageRecorder(embedded.table)
    sweeper = replace(embedded.engine.sweeper, due=DueRepository(pages))
    assert sweeper.sweep() == 1000
    assert {conversation["state"] for conversation in embedded.items("conversation")} == {"inactive"}
    changes = [change["events"] for change in embedded.changes()]
    slept = [event["conversation_sid"] for events in changes for event in events if event["payload"].get("Reason")]
    assert len(slept) == len(set(slept)) == 1000
    assert max(pages.sizes) <= DUE_PAGE_SIZE < sum(pages.sizes) == 1000
    assert sweeper.sweep() == 0


class PageRecorder:
    """A table that records the number of items in each query result."""

    def __init__(self, table: Any) -> None:
        self._table = table
        self.sizes: list[int] = []

    def __getattr__(self, name: str) -> Any:
        return getattr(self._table, name)

    def query(self, *arguments: Any, **options: Any) -> list[Item]:
        page: list[Item] = self._table.query(*arguments, **options)
        self.sizes.append(len(page))
        return page
