"""`convoke listen` finds each new event exactly once, prints the event and forwards it (cli/listen.py)."""

from __future__ import annotations

import json
import sys
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any

import click
import pytest

from convoke.cli import listen
from convoke.cli.listen import Forwarder, new_events, print_event
from convoke.domain.events import Event, EventFilters, EventType
from convoke.domain.pages import Page, PageRequest
from tests.support.instances import Receivers

START = datetime(2026, 11, 28, 12, tzinfo=UTC)


class EndOfTestError(Exception):
    """Ends the test when the fake ledger has no more actions."""


class Ledger:
    """A fake event ledger. Each call of `sleep` runs the next action.

    An action is a list of events to add. The action None removes all events. After the last action, `sleep` raises
    EndOfTestError.
    """

    def __init__(self) -> None:
        self.events: list[Event] = []
        self.actions: list[list[tuple[str, float]] | None] = []
        self.reads = 0

    def add(self, name: str, seconds: float) -> None:
        self.events.append(
            Event(
                id=name,
                type=EventType.CONVERSATION_ADDED,
                account_sid="AC1",
                occurred_at=START + timedelta(seconds=seconds),
                payload={},
                notify_webhooks=True,
            )
        )

    def list(self, account_sid: str, filters: EventFilters, request: PageRequest) -> Page[Event]:
        assert request.descending
        self.reads += 1
        ordered = sorted(self.events, key=lambda event: event.occurred_at, reverse=True)
        first = int(request.position or 0)
        page = ordered[first : first + request.size]
        has_next = first + request.size < len(ordered)
        return Page(page, has_previous=False, has_next=has_next, behind=str(first + request.size) if has_next else None)

    def sleep(self, seconds: float) -> None:
        if not self.actions:
            raise EndOfTestError
        action = self.actions.pop(0)
        if action is None:
            self.events.clear()
        for name, moment in action or ():
            self.add(name, moment)


@pytest.fixture
def ledger(monkeypatch: pytest.MonkeyPatch) -> Ledger:
    monkeypatch.setattr(listen, "PAGE_SIZE", 3)
    return Ledger()


def found(ledger: Ledger) -> list[str]:
    names = list[str]()

    with suppress(EndOfTestError):
        for event in new_events(ledger, "AC1", 1.0, now=lambda: START, sleep=ledger.sleep):  # type: ignore[arg-type]
            names.append(event.id)
    return names


def test_earlier_events_are_not_printed_and_new_events_come_in_order(ledger: Ledger) -> None:
    for number in range(10):
        ledger.add(f"old {number}", -number)
    ledger.actions = [[("b", 2), ("a", 1)], [], [("c", 3)]]
    assert found(ledger) == ["a", "b", "c"]


def test_more_events_than_a_page_are_all_found(ledger: Ledger) -> None:
    ledger.actions = [[(f"{number:02}", number) for number in range(40)]]
    assert found(ledger) == [f"{number:02}" for number in range(40)]


def test_event_that_appears_late_is_found(ledger: Ledger) -> None:
    ledger.actions = [[("new", 20)], [("late", 5)]]
    assert found(ledger) == ["new", "late"]


def test_events_after_a_reset_are_found_although_the_clock_went_back(ledger: Ledger) -> None:
    ledger.actions = [[("tomorrow", 86_400)], None, [("after the reset", 10)]]
    assert found(ledger) == ["tomorrow", "after the reset"]


def test_old_events_are_not_read_again(ledger: Ledger) -> None:
    for number in range(300):
        ledger.add(f"old {number}", -1000 - 100 * number)
    ledger.actions = [[("a", 1)], [], []]
    assert found(ledger) == ["a"]
    assert ledger.reads <= 8


def an_event(conversation_sid: str | None) -> Event:
    return Event(
        id="EV1",
        type=EventType.CONVERSATION_ADDED,
        account_sid="AC1",
        conversation_sid=conversation_sid,
        occurred_at=START,
        payload={},
        notify_webhooks=True,
    )


@pytest.mark.parametrize(
    ("conversation_sid", "forwarded", "optional"),
    [
        (None, None, {}),
        ("CH1", None, {"conversation": "CH1"}),
        (None, "204", {"forwarded": "204"}),
    ],
)
def test_json_line_has_only_the_fields_that_the_event_has(
    capsys: pytest.CaptureFixture[str], conversation_sid: str | None, forwarded: str | None, optional: dict[str, str]
) -> None:
    print_event(an_event(conversation_sid), forwarded)
    line = json.loads(capsys.readouterr().out)
    assert line == {"time": "2026-11-28T12:00:00.000+00:00", "event": "onConversationAdded", "id": "EV1", **optional}


@pytest.mark.parametrize(
    ("conversation_sid", "forwarded", "end"),
    [("CH1", "204", "CH1  EV1  -> 204"), (None, None, "-  EV1")],
)
def test_terminal_gets_a_line_for_people(
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    conversation_sid: str | None,
    forwarded: str | None,
    end: str,
) -> None:
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
    print_event(an_event(conversation_sid), forwarded)
    _, _, line = click.unstyle(capsys.readouterr().out).rstrip("\n").partition("  ")
    assert line == f"onConversationAdded  {end}"


@pytest.mark.parametrize(("status", "shown"), [(204, "204"), (503, "503"), (None, "no connection")])
def test_forwarder_returns_the_status_or_why_there_is_none(status: int | None, shown: str) -> None:
    receivers = Receivers(statuses=[status])
    installation: Any = SimpleNamespace(accounts=SimpleNamespace(token={"AC1": "secret"}.get))
    client: Any = receivers
    forward = Forwarder("https://hooks.example.com/", installation, "AC1", client)
    assert forward(an_event("CH1")) == shown
    assert [each.url for each in receivers.posted] == ["https://hooks.example.com/"]
