"""The ports to the outside world: queues, workflow, event bus, HTTP client, carriers, media store.

Operations reach the outside world only through these ports. There are no ports for repositories, because a repository
has only one implementation.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractContextManager
from datetime import timedelta
from typing import BinaryIO, Protocol

from convoke.domain.carriers import OutboundCopy, SentCopy
from convoke.domain.copies import Copy
from convoke.domain.events import Event
from convoke.domain.media import CarrierCredentials, Media
from convoke.domain.provisioning import Cause, Provisioning
from convoke.domain.webhooks import Delivery
from convoke.webhooks.answers import FetchedMedia, WebhookAnswer


class ParticipantQueue(Protocol):
    def send(self, provisioning: Provisioning) -> None:
        """Enqueue the participants of one conversation as one queue message."""


class Workflow(Protocol):
    """The state machine of the finalizer. Its states are Finalize, Publish and Settle.

    If the participants cannot be added, the state Close follows Finalize and closes the conversation before Publish.
    """

    def start(self, account_sid: str, conversation_sid: str, causes: Sequence[Cause]) -> None:
        """Start an execution. If `causes` is not empty, the execution closes the conversation for these reasons."""


class EventBus(Protocol):
    def publish(self, events: Sequence[Event]) -> None:
        """Publish the events at least once.

        Raises an exception if any event is not on the bus. The caller must then publish all events again.
        """


class DeliveryQueue(Protocol):
    def send(self, messages: Sequence[Delivery | Event]) -> None:
        """Enqueue each element as one queue message.

        The consumer splits an event into deliveries. Whenever the consumer receives the queue message of a delivery,
        the consumer attempts the delivery once.
        """


class WebhookClient(Protocol):
    def call(self, delivery: Delivery, *, retry_count: int, auth_token: str, max_answer_bytes: int) -> WebhookAnswer:
        """Send one signed request and read at most `max_answer_bytes` bytes of the answer's body.

        Raises WebhookUnreachableError if no answer arrives.
        """


class Presence(Protocol):
    def is_online(self, user_sid: str) -> bool:
        """Return whether a chat client of the User is connected."""


class NobodyOnline:
    """Implements Presence on an engine that serves no chat clients."""

    def is_online(self, user_sid: str) -> bool:  # noqa: ARG002 - nobody is online
        return False


class CopyQueue(Protocol):
    def send(self, copies: Sequence[Copy]) -> None:
        """Enqueue each copy as one queue message. The consumer gets the copies of one line one at a time, in order."""


class Carrier(Protocol):
    """A provider that delivers copies of messages to phones."""

    @property
    def sends_group_mms(self) -> bool:
        """Whether the phones of a group see one conversation. Otherwise a copy names the author in its text."""

    def send(self, copy: OutboundCopy) -> SentCopy:
        """Send one copy.

        Raises CarrierRefusedError if the carrier will never send the copy, CarrierThrottledError or
        CarrierUnavailableError if the carrier has not taken the copy and may take it later. After any other exception,
        nobody knows whether the carrier has the copy.
        """


class MediaClient(Protocol):
    def fetch(
        self, url: str, credentials: CarrierCredentials | None, seconds: float
    ) -> AbstractContextManager[FetchedMedia]:
        """Request the media of a phone. The content arrives while the caller reads it inside the `with` block.

        Raises MediaRefusedError if the answer contains no media. Raises WebhookUnreachableError if the answer does not
        arrive completely within `seconds`.
        """


class MediaWriter(Protocol):
    """Writes the content of one media. Nobody can read the content before `commit` has returned."""

    def write(self, data: bytes) -> None:
        """Append a part of the content."""

    def commit(self) -> None:
        """Store the content durably. If the media has content already, replace it."""

    def abort(self) -> None:
        """Discard the content. Does nothing after `commit`."""


class MediaStore(Protocol):
    """The content of media. The records of media are in the table."""

    def writer(self, account_sid: str, media_sid: str) -> MediaWriter: ...

    def open(self, account_sid: str, media_sid: str) -> BinaryIO:
        """Return a stream of the content. Raises FileNotFoundError if the media has no content."""

    def link(self, media: Media, lifetime: timedelta) -> str | None:
        """Return a URL from which everybody can download the content until `lifetime` has passed.

        Returns None if the API itself must serve the content.
        """

    def delete(self, account_sid: str, media_sid: str) -> None:
        """Remove the content and what an interrupted upload has left. Does nothing if there is none."""
