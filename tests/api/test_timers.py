"""Timers that run out (reference, e.3; promise 5)."""

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
from convoke.storage import conversations
from convoke.storage.conversations import ConversationRepository
from convoke.storage.provisioning import ProvisioningRepository
from convoke.storage.table import ConditionFailedError, Item, Put, Update
from tests.support.examples import CHAT_AND_SMS, GROUP_MMS
from tests.support.instances import EmbeddedInstance, Instance, held_instance
from tests.support.manual_clock import ManualClock

NOW = timedelta(0)
SECOND, MINUTE = timedelta(seconds=1), timedelta(minutes=1)
LONG_AFTER = timedelta(days=1)

Meanwhile = Callable[[], object]


@pytest.fixture
def clock() -> ManualClock:
    """In whole seconds, as dates in answers are."""
    made = ManualClock()
    made.present = made.present.replace(microsecond=0)
    return made


@pytest.fixture
def embedded(clock: ManualClock) -> Iterator[EmbeddedInstance]:
    with held_instance(now=clock.now) as made:
        yield made


def listen(instance: Instance) -> None:
    webhooks = instance.client().conversations.v1.configuration.webhooks()
    webhooks.update(post_webhook_url="https://hooks.example.com/", filters=["onConversationStateUpdated"])


def told(instance: Instance) -> list[tuple[str, ...]]:
    """The changes of state that webhooks were told of, and why they happened."""
    instance.work()
    payloads = [delivery.event.payload for delivery in instance.receivers.posted]
    return [tuple(payload[name] for name in ("StateFrom", "StateTo", "Reason")) for payload in payloads]


def create(instance: Instance, **parameters: Any) -> Any:
    """One with both timers, unless others are given."""
    timers = {"timers_inactive": "PT1M", "timers_closed": "PT10M"}
    return instance.client().conversations.v1.conversations.create(**{**timers, **parameters})


def due_at(instance: Instance) -> object:
    (conversation,) = instance.items("conversation")
    assert ("due_shard" in conversation) is ("due_at" in conversation)
    return conversation.get("due_at")


def moments(shown: Any) -> dict[str, datetime]:
    return {name: datetime.fromisoformat(value) for name, value in shown.timers.items()}


def test_it_falls_asleep_and_closes_to_the_second_each_counted_from_the_last_change(
    clocked: Instance, clock: ManualClock
) -> None:
    """The example: 22:18:38, PT1M and PT10M make 22:19:38 and 22:28:38."""
    listen(clocked)
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
    assert told(clocked) == [("active", "inactive", "TIMER"), ("inactive", "closed", "TIMER")]
    clock.move(LONG_AFTER)
    assert (clocked.sweep(NOW), due_at(clocked)) == (0, None)


def test_the_event_tells_when_it_happened(clocked: Instance, clock: ManualClock) -> None:
    listen(clocked)
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


def test_timers_wait_for_the_members_and_run_once_they_are_in(clocked: Instance, clock: ManualClock) -> None:
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


def test_of_one_whose_members_could_not_be_added_no_timer_runs(clock: ManualClock) -> None:
    def refuse(*_: object) -> None:
        raise InvalidRoleSidError

    with held_instance(now=clock.now, admit=refuse) as instance:
        v1 = instance.client().conversations.v1
        v1.conversation_with_participants.create(participant=CHAT_AND_SMS, timers_closed="PT10M")
        instance.work()
        (conversation,) = instance.items("conversation")
        assert (conversation["state"], due_at(instance)) == ("closed", None)


@pytest.mark.parametrize("restart", ["message", "update", "participant"])
def test_activity_restarts_both_and_writes_no_index(clocked: Instance, clock: ManualClock, restart: str) -> None:
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


def test_putting_off_tells_nobody_and_changes_nothing_that_is_shown(clocked: Instance, clock: ManualClock) -> None:
    conversation = create(clocked)
    clock.move(30 * SECOND)
    conversation.messages.create(body="Hello")
    shown, changes = clocked.call("GET", f"/v1/Conversations/{conversation.sid}").text, clocked.changes()
    clock.move(30 * SECOND)
    assert clocked.sweep(NOW) == 1
    assert clocked.call("GET", f"/v1/Conversations/{conversation.sid}").text == shown
    assert clocked.changes() == changes


@pytest.mark.parametrize("by", ["message", "update"])
def test_reactivated_it_has_all_its_time_again(clocked: Instance, clock: ManualClock, by: str) -> None:
    listen(clocked)
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


def test_a_timer_that_is_shortened_runs_out_earlier(clocked: Instance, clock: ManualClock) -> None:
    conversation = create(clocked, timers_inactive="P1D", timers_closed="P2D")
    conversation.update(timers_inactive="PT1M")
    clock.move(MINUTE)
    clocked.sweep(NOW)
    assert conversation.fetch().state == "inactive"


def test_a_timer_that_is_set_later_runs(clocked: Instance, clock: ManualClock) -> None:
    conversation = create(clocked, timers_inactive="PT0S", timers_closed="PT0S")
    assert due_at(clocked) is None
    conversation.update(timers_closed="PT10M")
    clock.move(10 * MINUTE)
    clocked.sweep(NOW)
    assert conversation.fetch().state == "closed"


def test_without_timers_nothing_is_due(clocked: Instance, clock: ManualClock) -> None:
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


def test_the_closed_timer_may_run_out_first(clocked: Instance, clock: ManualClock) -> None:
    listen(clocked)
    create(clocked, timers_inactive="P1D")
    clock.move(10 * MINUTE)
    clocked.sweep(NOW)
    assert told(clocked) == [("active", "closed", "TIMER")]


def test_where_both_ran_out_while_nobody_looked_it_closes_at_once(clocked: Instance, clock: ManualClock) -> None:
    listen(clocked)
    conversation = create(clocked)
    clock.move(LONG_AFTER)
    clocked.sweep(NOW)
    assert (conversation.fetch().state, told(clocked)) == ("closed", [("active", "closed", "TIMER")])


@pytest.mark.parametrize("participants", [CHAT_AND_SMS, GROUP_MMS], ids=["pair", "group"])
def test_closed_by_its_timer_it_gives_up_every_lock_but_its_name(
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


def test_the_date_of_update_moves_on_and_never_back(clocked: Instance, clock: ManualClock) -> None:
    ahead = clock.present + LONG_AFTER
    conversation = create(clocked, date_updated=ahead)
    clock.move(MINUTE)
    clocked.sweep(NOW)
    assert (conversation.fetch().state, conversation.fetch().date_updated) == ("inactive", ahead)


def test_a_deleted_one_is_removed_whatever_its_timers_say(clocked: Instance, clock: ManualClock) -> None:
    listen(clocked)
    create(clocked).delete()
    clock.move(LONG_AFTER)
    assert clocked.sweep(NOW) == 1
    assert clocked.items("conversation") == []
    assert told(clocked) == []


def test_a_sweep_that_looks_ahead_runs_no_timer_early(embedded: EmbeddedInstance) -> None:
    """As that of a process that has just started does."""
    conversation, before = create(embedded), embedded.items("")
    assert embedded.sweep(10 * MINUTE) == 1
    assert embedded.items("") == before
    assert conversation.fetch().state == "active"


# Whoever is faster


@dataclass(frozen=True)
class Overtaken(ProvisioningRepository):
    """Something happens between the reading and what follows from it."""

    meanwhile: Meanwhile

    def fetch(self, account_sid: str, conversation_sid: str) -> tuple[Conversation, Provisioning | None] | None:
        found = super().fetch(account_sid, conversation_sid)
        self.meanwhile()
        return found


def sweep_overtaken_by(instance: EmbeddedInstance, meanwhile: Meanwhile) -> int:
    return replace(instance.engine.sweeper, provisionings=Overtaken(instance.table, meanwhile)).sweep()


@pytest.mark.parametrize("timer", ["inactive", "closed"])
def test_a_message_that_comes_before_the_change_keeps_the_timer_from_running_out(
    embedded: EmbeddedInstance, clock: ManualClock, timer: str
) -> None:
    listen(embedded)
    conversation = create(embedded, **({"timers_inactive": "PT0S"} if timer == "closed" else {}))
    clock.move(MINUTE if timer == "inactive" else 10 * MINUTE)
    sweep_overtaken_by(embedded, lambda: conversation.messages.create(body="Wait"))
    shown = conversation.fetch()
    assert (shown.state, told(embedded)) == ("active", [])
    clock.present = moments(shown)[f"date_{timer}"]
    for _ in range(2):
        embedded.sweep(NOW)
    assert told(embedded) == [("active", timer, "TIMER")]


def test_what_is_shortened_while_it_is_put_off_stays_due_in_time(
    embedded: EmbeddedInstance, clock: ManualClock
) -> None:
    conversation = create(embedded, timers_inactive="PT1H", timers_closed="PT2H")
    clock.move(30 * MINUTE)
    conversation.messages.create(body="Hello")
    clock.move(30 * MINUTE)
    sweep_overtaken_by(embedded, lambda: conversation.update(timers_inactive="PT1M"))
    clock.move(MINUTE)
    embedded.sweep(NOW)
    assert conversation.fetch().state == "inactive"


def test_of_two_sweepers_one_changes_it_and_it_is_told_once(
    embedded: EmbeddedInstance, clock: ManualClock, caplog: pytest.LogCaptureFixture
) -> None:
    listen(embedded)
    create(embedded)
    clock.move(MINUTE)
    sweep_overtaken_by(embedded, lambda: embedded.sweep(NOW))
    assert told(embedded) == [("active", "inactive", "TIMER")]
    assert [entry for entry in caplog.records if entry.levelno >= logging.WARNING] == []


@dataclass(frozen=True)
class Interrupted:
    """A table; something happens once a condition did not hold."""

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


def test_what_is_changed_while_it_is_settled_is_due_for_the_timers_it_has_then(embedded: EmbeddedInstance) -> None:
    v1 = embedded.client().conversations.v1
    sid = v1.conversation_with_participants.create(participant=CHAT_AND_SMS, timers_inactive="P1D").sid
    embedded.engine._steps._finish_conversations()
    settled = v1.conversations(sid)
    (stored,) = embedded.items("conversation")
    assert stored["unsettled"] is False
    unsettled = {name: value for name, value in stored.items() if name not in {"due_shard", "due_at"}}
    embedded.table.transact([Put({**unsettled, "unsettled": True})])
    interrupted = Interrupted(embedded.table, [lambda: settled.update(timers_inactive="PT1M")])
    ConversationRepository(interrupted).settle(embedded.account.sid, sid)
    (after,) = embedded.items("conversation")
    assert (after["unsettled"], after["due_at"]) == (False, after["date_inactive"])


# Many at once


def test_a_thousand_that_are_due_in_one_minute_are_handled_by_one_sweep_page_by_page(
    embedded: EmbeddedInstance, clock: ManualClock
) -> None:
    for _ in range(1000):
        create(embedded)
        clock.move(timedelta(milliseconds=50))
    clock.move(MINUTE)
    pages = Pages(embedded.table)
    sweeper = replace(embedded.engine.sweeper, conversations=ConversationRepository(pages))
    assert sweeper.sweep() == 1000
    assert {conversation["state"] for conversation in embedded.items("conversation")} == {"inactive"}
    changes = [change["events"] for change in embedded.changes()]
    slept = [event["conversation_sid"] for events in changes for event in events if event["payload"].get("Reason")]
    assert len(slept) == len(set(slept)) == 1000
    assert max(pages.sizes) <= conversations.DUE_PAGE_SIZE < sum(pages.sizes) == 1000
    assert sweeper.sweep() == 0


class Pages:
    """A table that notes how much was read at a time."""

    def __init__(self, table: Any) -> None:
        self._table = table
        self.sizes: list[int] = []

    def __getattr__(self, name: str) -> Any:
        return getattr(self._table, name)

    def query(self, *arguments: Any, **options: Any) -> list[Item]:
        page: list[Item] = self._table.query(*arguments, **options)
        self.sizes.append(len(page))
        return page
