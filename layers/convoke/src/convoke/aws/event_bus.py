"""Publish events on an EventBridge bus."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from tenacity import Retrying, retry_if_exception_type, stop_after_attempt, wait_random_exponential

from convoke.aws.message_bodies import escape_noncharacters
from convoke.domain.batches import batches
from convoke.domain.events import Event
from convoke.domain.model import Model
from convoke.lean_dataclass import lean_dataclass

if TYPE_CHECKING:
    from mypy_boto3_events import EventBridgeClient
    from mypy_boto3_events.type_defs import PutEventsRequestEntryTypeDef

SOURCE = "convoke"
"""The `source` of every event on the bus. Rules select Convoke's events by this value."""

# Convoke's limits for one PutEvents call: the number of entries, and their total size. EventBridge's limits are not
# lower. See https://docs.aws.amazon.com/eventbridge/latest/APIReference/API_PutEvents.html
MAX_BATCH_ENTRIES = 10
MAX_BATCH_BYTES = 256 * 1024

MAX_ENTRY_OVERHEAD_BYTES = 256
"""The maximum size of one entry without its detail: the source, the detail type and the time."""


class BusEvent(Model):
    """The envelope in which EventBridge delivers an event to a queue. Convoke reads only the key `detail`."""

    detail: Event


class EventsNotPublishedError(Exception):
    """EventBridge did not accept some events.

    The caller may publish all events again, because the consumers tolerate duplicates.
    """

    def __init__(self, rejected: Sequence[Event], code: str) -> None:
        super().__init__(f"{len(rejected)} events: {code}")
        self.rejected = rejected


def put_events_entry(event: Event, event_bus_name: str) -> PutEventsRequestEntryTypeDef:
    """Return the PutEvents entry for an event.

    The detail type is the type of the event. The detail is the whole event.
    """
    return {
        "Source": SOURCE,
        "DetailType": event.type,
        "Detail": _detail(event),
        "EventBusName": event_bus_name,
    }


@lean_dataclass
class EventBridgeBus:
    client: EventBridgeClient
    event_bus_name: str
    attempts: int = 4

    def publish(self, events: Sequence[Event]) -> None:
        """Put the events on the bus in batches.

        Retry the entries that the bus rejects, for example because of throttling. Raise EventsNotPublishedError if the
        bus still rejects entries at the last attempt.
        """
        for batch in batches(events, _entry_bytes, max_entries=MAX_BATCH_ENTRIES, max_bytes=MAX_BATCH_BYTES):
            self._publish(batch)

    def _publish(self, events: Sequence[Event]) -> None:
        remaining = events
        for attempt in Retrying(
            retry=retry_if_exception_type(EventsNotPublishedError),
            stop=stop_after_attempt(self.attempts),
            wait=wait_random_exponential(multiplier=0.05, max=1),
            reraise=True,
        ):
            with attempt:
                try:
                    self._put(remaining)
                except EventsNotPublishedError as error:
                    # PutEvents is not atomic, so the next attempt must contain the rejected entries only.
                    remaining = error.rejected
                    raise

    def _put(self, events: Sequence[Event]) -> None:
        answer = self.client.put_events(Entries=[put_events_entry(event, self.event_bus_name) for event in events])
        if answer["FailedEntryCount"]:
            # The results have the same order as the entries.
            failed = [
                (event, result)
                for event, result in zip(events, answer["Entries"], strict=True)
                if "ErrorCode" in result
            ]
            raise EventsNotPublishedError([event for event, _ in failed], failed[0][1]["ErrorCode"])


def _entry_bytes(event: Event) -> int:
    return len(_detail(event).encode()) + MAX_ENTRY_OVERHEAD_BYTES


def _detail(event: Event) -> str:
    # Escape the characters that SQS refuses, because a rule of the bus sends the event to a queue.
    return escape_noncharacters(event.model_dump_json())
