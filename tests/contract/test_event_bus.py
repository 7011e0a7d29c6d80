"""The event bus sends refused entries again, and its calls stay within the limits of EventBridge."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

import pytest

from convoke.aws import event_bus as event_bridge
from convoke.aws.event_bus import MAX_BATCH_BYTES, MAX_BATCH_ENTRIES, EventBridgeBus, EventsNotPublishedError
from convoke.domain.events import Event, EventType


def event(number: int, size: int = 0) -> Event:
    return Event(
        id=f"EV-{number}",
        type=EventType.PARTICIPANT_ADDED,
        account_sid="AC",
        conversation_sid="CH",
        occurred_at=datetime.now(UTC),
        payload={"Attributes": "x" * size},
        notify_webhooks=True,
    )


class RefusingEventBridge:
    """A fake EventBridge that records every call.

    `refused` maps an event ID to the number of times that EventBridge refuses the event.
    """

    def __init__(self, refused: dict[str, int]) -> None:
        self.refused = refused
        self.calls: list[list[str]] = []
        self.bytes: list[int] = []

    def put_events(self, Entries: list[dict[str, Any]]) -> dict[str, Any]:  # noqa: N803 - the client's name
        ids = [json.loads(entry["Detail"])["id"] for entry in Entries]
        self.calls.append(ids)
        self.bytes.append(sum(len(entry["Detail"].encode()) for entry in Entries))
        results = [self._result(each) for each in ids]
        return {"FailedEntryCount": sum("ErrorCode" in result for result in results), "Entries": results}

    def _result(self, event_id: str) -> dict[str, str]:
        left = self.refused.get(event_id, 0)
        self.refused[event_id] = left - 1
        return {"ErrorCode": "ThrottlingException"} if left > 0 else {"EventId": event_id}


@pytest.fixture(autouse=True)
def no_backoff(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(event_bridge, "wait_random_exponential", lambda **_: lambda _: 0)


def bus(client: RefusingEventBridge) -> EventBridgeBus:
    return EventBridgeBus(client, "bus")  # type: ignore[arg-type]


def test_only_refused_entries_are_sent_again() -> None:
    client = RefusingEventBridge({"EV-1": 1, "EV-3": 2})
    bus(client).publish([event(number) for number in range(5)])
    assert client.calls == [["EV-0", "EV-1", "EV-2", "EV-3", "EV-4"], ["EV-1", "EV-3"], ["EV-3"]]


def test_entries_refused_on_last_attempt_raise() -> None:
    client = RefusingEventBridge({"EV-1": 100})
    with pytest.raises(EventsNotPublishedError, match="1 events: ThrottlingException") as raised:
        bus(client).publish([event(number) for number in range(3)])
    assert [each.id for each in raised.value.rejected] == ["EV-1"]
    assert client.calls == [["EV-0", "EV-1", "EV-2"], *[["EV-1"]] * 3]


def test_call_stays_within_batch_limits_of_event_bridge() -> None:
    client = RefusingEventBridge({})
    many = [event(number) for number in range(25)]
    large = [event(number, size=100_000) for number in range(25, 30)]
    bus(client).publish([*many, *large])
    assert [each for call in client.calls for each in call] == [each.id for each in (*many, *large)]
    assert max(map(len, client.calls)) == MAX_BATCH_ENTRIES
    assert max(client.bytes) < MAX_BATCH_BYTES
    assert [len(call) for call in client.calls] == [10, 10, 7, 2, 1]
