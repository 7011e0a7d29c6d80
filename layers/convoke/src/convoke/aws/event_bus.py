"""The event bus on EventBridge."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from tenacity import Retrying, retry_if_exception_type, stop_after_attempt, wait_random_exponential

from convoke.domain.batches import batches
from convoke.domain.events import Event
from convoke.domain.model import Model

if TYPE_CHECKING:
    from mypy_boto3_events import EventBridgeClient
    from mypy_boto3_events.type_defs import PutEventsRequestEntryTypeDef

SOURCE = "convoke"
"""The `source` of every event: what a rule on the bus matches first."""

MAX_BATCH_ENTRIES = 10
MAX_BATCH_BYTES = 256 * 1024
"""Entries, and bytes of all of them together, in one call (EventBridge's limits; architecture, promise 6)."""

OVERHEAD = 256
"""Bytes, at the most, that source, type and time of an entry count for."""


class BusEvent(Model):
    """What EventBridge hands to a target: its envelope, of which the detail counts."""

    detail: Event


class EventsNotPublishedError(Exception):
    """Some events are not on the bus. They may be published again, with those that are."""

    def __init__(self, left: Sequence[Event], code: str) -> None:
        super().__init__(f"{len(left)} events: {code}")
        self.left = left


def entry(event: Event, event_bus_name: str) -> PutEventsRequestEntryTypeDef:
    """An event as EventBridge takes it: the event type is Twilio's, the detail is the whole event."""
    return {
        "Source": SOURCE,
        "DetailType": event.type,
        "Detail": event.model_dump_json(),
        "EventBusName": event_bus_name,
    }


@dataclass(frozen=True, slots=True)
class EventBridgeBus:
    client: EventBridgeClient
    event_bus_name: str
    attempts: int = 4

    def publish(self, events: Sequence[Event]) -> None:
        """Entries that the bus refuses, as under throttling, are put again. Raises EventsNotPublishedError."""
        for batch in batches(events, _size, max_entries=MAX_BATCH_ENTRIES, max_bytes=MAX_BATCH_BYTES):
            self._publish(batch)

    def _publish(self, events: Sequence[Event]) -> None:
        left = events
        for attempt in Retrying(
            retry=retry_if_exception_type(EventsNotPublishedError),
            stop=stop_after_attempt(self.attempts),
            wait=wait_random_exponential(multiplier=0.05, max=1),
            reraise=True,
        ):
            with attempt:
                try:
                    self._put(left)
                except EventsNotPublishedError as error:
                    left = error.left
                    raise

    def _put(self, events: Sequence[Event]) -> None:
        answer = self.client.put_events(Entries=[entry(event, self.event_bus_name) for event in events])
        if answer["FailedEntryCount"]:
            failed = [
                (event, result)
                for event, result in zip(events, answer["Entries"], strict=True)
                if "ErrorCode" in result
            ]
            raise EventsNotPublishedError([event for event, _ in failed], failed[0][1]["ErrorCode"])


def _size(event: Event) -> int:
    return len(event.model_dump_json().encode()) + OVERHEAD
