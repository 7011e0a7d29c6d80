"""The ports to the outside world: queues, workflow, event bus, HTTP clients, presence, carriers, media store.

A port is an interface for which each engine chooses an implementation. The package `storage` contains further ports:
`Table`, and the ports for secrets, such as `AuthTokens`. Operations reach the outside world only through ports.
Repositories need no port of their own, because they have only one implementation.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractContextManager
from datetime import timedelta
from typing import TYPE_CHECKING, BinaryIO, Protocol

if TYPE_CHECKING:
    from convoke.domain.carriers import OutboundCopy, SentCopy
    from convoke.domain.copies import Copy
    from convoke.domain.events import Event
    from convoke.domain.media import CarrierCredentials, Media
    from convoke.domain.provisioning import Cause, Provisioning
    from convoke.domain.webhooks import Delivery
    from convoke.webhooks.answers import FetchedMedia, WebhookAnswer


class RetryLaterError(Exception):
    """A delivery or a copy must be tried again. The queue must deliver the queue message again after `seconds`."""

    def __init__(self, seconds: float) -> None:
        super().__init__(f"retry in {seconds:.1f} s")
        self.seconds = seconds


class ParticipantQueue(Protocol):
    def send(self, provisioning: Provisioning) -> None:
        """Enqueue the participants of one conversation as one queue message."""


class Workflow(Protocol):
    """The state machine of the finalizer. The states are Finalize, Publish and Settle.

    If the participants cannot be added, the state Close comes between Finalize and Publish. Close closes the
    conversation.
    """

    def start(self, account_sid: str, conversation_sid: str, causes: Sequence[Cause]) -> None:
        """Start an execution.

        `causes` are the reasons why the participants cannot be added. If there are causes and the participants are not
        added, the execution closes the conversation.
        """


class EventBus(Protocol):
    def publish(self, events: Sequence[Event]) -> None:
        """Publish the events at least once.

        Raises an exception if any event could not be published. After an exception, the caller must publish all events
        again.
        """


class DeliveryQueue(Protocol):
    def send(self, messages: Sequence[Delivery | Event]) -> None:
        """Enqueue each event or delivery as one queue message.

        The consumer splits an event into deliveries. The consumer makes at most one attempt each time that it receives
        the queue message of a delivery.
        """


class WebhookClient(Protocol):
    def call(self, delivery: Delivery, *, retry_count: int, auth_token: str, max_answer_bytes: int) -> WebhookAnswer:
        """Send one signed request and read at most `max_answer_bytes` bytes of the answer's body.

        `retry_count` tells how many attempts of this delivery were made before. Raises WebhookUnreachableError if no
        answer arrives, or if the receiver rules do not allow the call.
        """


class Presence(Protocol):
    def is_online(self, user_sid: str) -> bool:
        """Return whether a chat client of the User is connected."""


class NobodyOnline:
    """Implements `Presence` for an engine that does not serve chat clients."""

    def is_online(self, user_sid: str) -> bool:  # noqa: ARG002 - nobody is online
        return False


class CopyQueue(Protocol):
    def send(self, copies: Sequence[Copy]) -> None:
        """Enqueue each copy as one queue message.

        The consumer receives the copies of one line in order, one at a time. A line consists of the business address
        that sends the copy and of the phone that gets the copy.
        """


class Carrier(Protocol):
    """A provider that delivers copies of messages to phones."""

    @property
    def sends_group_mms(self) -> bool:
        """Whether the carrier can send a group MMS, which all phones of a group see as one common conversation.

        If the value is False, each phone of a group gets a separate message. The text of this message starts with the
        author.
        """

    def send(self, copy: OutboundCopy) -> SentCopy:
        """Send one copy.

        Raises CarrierRefusedError if the carrier will never accept the copy. Raises CarrierThrottledError or
        CarrierUnavailableError if the carrier has not accepted the copy, but may accept the copy later. Raises
        CarrierOutcomeUnknownError if the carrier may have accepted the copy. The caller treats any other exception like
        CarrierOutcomeUnknownError, and logs a traceback.
        """


class MediaClient(Protocol):
    def fetch(
        self, url: str, credentials: CarrierCredentials | None, seconds: float
    ) -> AbstractContextManager[FetchedMedia]:
        """Request a media of an inbound message. The caller must read the content inside the `with` block.

        Raises MediaRefusedError if the answer contains no media, if a URL is malformed, or if there are too many
        redirects. Raises WebhookUnreachableError if the answer does not arrive completely within `seconds`, or if the
        receiver rules do not allow the call.
        """


class MediaWriter(Protocol):
    """Writes the content of one media. Nobody can read the content before the call of `commit`."""

    def write(self, data: bytes) -> None:
        """Append a part of the content."""

    def commit(self, content_type: str) -> None:
        """Store the content durably. If the media already has content, replace the content."""

    def abort(self) -> None:
        """Discard the content. This method does nothing after `commit`."""


class MediaStore(Protocol):
    """Stores the content of media. The table contains only the records of media."""

    def writer(self, account_sid: str, media_sid: str) -> MediaWriter: ...

    def open(self, account_sid: str, media_sid: str) -> BinaryIO:
        """Return a stream of the content. Raises FileNotFoundError if the media has no content."""

    def link(self, media: Media, lifetime: timedelta) -> str | None:
        """Return a URL from which everybody can download the content until `lifetime` has passed.

        Return None if the API itself must serve the content.
        """

    def delete(self, account_sid: str, media_sid: str) -> None:
        """Remove the content, including the incomplete content of an interrupted upload.

        This method does nothing if there is no content.
        """
