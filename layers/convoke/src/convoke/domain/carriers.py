"""What Convoke sends to a carrier, and how the carrier responds. Carriers deliver copies of messages to phones.

See docs/phones.md.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import NamedTuple

from convoke.domain.errors import LogEntry
from convoke.domain.media import Media
from convoke.domain.receipts import Receipt, ReceiptStatus
from convoke.domain.senders import Sender, TwilioCredentials

MAX_ATTEMPTS = 6
"""The maximum number of attempts to send a copy. After the last failed attempt, the copy gets the status `failed`.

The attempts end earlier if the carrier refuses the copy, or if the outcomes of two calls to a real carrier are lost.
"""

FIRST_PAUSE_SECONDS = 5.0

MAX_DELAY = timedelta(hours=10)
"""The maximum delay of a copy because of the sender's `max_messages_per_second` or because the carrier throttles.

After this delay, the copy gets the status `failed`. A message also stays in the queue of Twilio for at most 10 hours.
See https://www.twilio.com/docs/api/errors/30001.
"""

MAX_THROTTLED_PAUSE_SECONDS = 60.0


class CopyMedia(NamedTuple):
    """A media of a copy."""

    media: Media
    url: str
    """A link that expires after `LINK_LIFETIME`, see domain/media.py.

    The link is relative if no public URL of the API is configured and the API itself serves the content. Only the
    simulator can use a relative link.
    """


class OutboundCopy(NamedTuple):
    """A copy in the form that Convoke passes to a carrier."""

    receipt: Receipt
    sender: Sender
    address: str
    """The phone that gets the copy."""
    text: str
    secret: TwilioCredentials | None = None
    """The credentials of the sender. None if the carrier needs no credentials."""
    media: Sequence[CopyMedia] = ()


class SentCopy(NamedTuple):
    """The response of a carrier that accepted a copy."""

    provider_message_id: str
    status: ReceiptStatus = ReceiptStatus.SENT


class CarrierError(Exception):
    """The base class of the errors of a call to a carrier."""


class CarrierRefusedError(CarrierError):
    """The carrier will never send the copy, for example because the phone has opted out."""

    def __init__(self, entry: type[LogEntry], reason: str = "") -> None:
        super().__init__(reason or entry.text)
        self.entry = entry


class CarrierThrottledError(CarrierError):
    """The carrier temporarily accepts no more copies. This attempt does not count towards MAX_ATTEMPTS."""


class CarrierUnavailableError(CarrierError):
    """The carrier failed, and certainly did not accept the copy."""


class CarrierOutcomeUnknownError(CarrierError):
    """The carrier may have accepted the copy, because the answer is missing or cannot be parsed."""


def pause_seconds(attempts: int) -> float:
    """Return the pause in seconds after `attempts` attempts. The pause doubles with each attempt."""
    return FIRST_PAUSE_SECONDS * (1 << max(attempts - 1, 0))


def throttled_pause_seconds(queued_at: datetime | None, now: datetime) -> float:
    """Return the pause in seconds after the carrier has throttled a copy that Convoke enqueued at `queued_at`.

    The pause is a tenth of the time since `queued_at`, so that Convoke rarely retries a copy that has waited for long.
    The pause is at least FIRST_PAUSE_SECONDS and at most MAX_THROTTLED_PAUSE_SECONDS.
    """
    waited = (now - queued_at).total_seconds() if queued_at else 0.0
    return min(max(FIRST_PAUSE_SECONDS, waited / 10), MAX_THROTTLED_PAUSE_SECONDS)


def is_delayed_too_long(queued_at: datetime | None, now: datetime) -> bool:
    return queued_at is not None and now - queued_at >= MAX_DELAY
