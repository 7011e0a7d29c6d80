"""The EventAttempt resource: a single HTTP request that delivers an event to a webhook or to the error-log URL."""

from __future__ import annotations

import re
from datetime import datetime
from typing import Annotated, Self

from pydantic import AfterValidator

from convoke.domain.instants import Instant
from convoke.domain.model import Model
from convoke.domain.retention import LEDGER_LIFETIME
from convoke.domain.urls import shown_url
from convoke.domain.webhooks import Delivery, Method

MAX_STORED_ANSWER_BYTES = 500

ATTEMPT_NAME = re.compile(r"(?:(RP[0-9a-f]{32})\.)?([\w-]+)\.([1-9][0-9]?)")
"""Matches the name of an attempt in a path, such as `account.1`. If there is a replay SID, the name begins with it."""

OWN_FAILURE = "an error in Convoke"
"""The error text of an attempt that failed because of an error in Convoke, and not because of the receiver."""


class EventAttempt(Model):
    """One attempt to deliver an event.

    Convoke stores the attempt before it sends the HTTP request. After the request, Convoke adds the result.
    """

    event_id: str
    replay_sid: str
    """The SID of the event replay that caused the delivery. Empty if the delivery is not a replay."""
    target: str
    number: int
    """The number of the attempt. The first attempt of a delivery has the number 1."""
    method: Method
    url: Annotated[str, AfterValidator(shown_url)]
    started_at: Instant
    status: int | None = None
    """The HTTP status of the answer. None if the receiver did not answer, or if the attempt has no result yet."""
    error: str | None = None
    milliseconds: int | None = None
    answer: str | None = None
    """The first `MAX_STORED_ANSWER_BYTES` bytes of the answer's body. None if there is no answer, or an empty body."""
    paused_until: Instant | None = None
    """The end of the receiver's pause, if deliveries to the receiver are paused after this attempt. Otherwise None."""

    @classmethod
    def begun(cls, delivery: Delivery, number: int, at: datetime) -> Self:
        return cls(
            event_id=delivery.event.id,
            replay_sid=delivery.replay_sid,
            target=delivery.target,
            number=number,
            method=delivery.method,
            url=delivery.url,
            started_at=at,
        )

    @property
    def is_completed(self) -> bool:
        """Whether the attempt has a result. If not, the attempt is running, or the process ended during the attempt."""
        return self.status is not None or self.error is not None

    @property
    def position(self) -> str:
        """The part of the sort key after the place of the event in its change. See `keys.event_attempt`.

        The attempts of an event are sorted by replay, target and number.
        """
        return _position(self.replay_sid, self.target, self.number)

    @property
    def name(self) -> str:
        """The name of the attempt in a path, for example `account.1`."""
        replay = f"{self.replay_sid}." if self.replay_sid else ""
        return f"{replay}{self.target}.{self.number}"

    @property
    def date_expires(self) -> datetime:
        return self.started_at + LEDGER_LIFETIME

    def completed(
        self,
        status: int | None,
        error: str | None,
        answer: bytes,
        at: datetime,
        paused_until: datetime | None = None,
    ) -> Self:
        milliseconds = int((at - self.started_at).total_seconds() * 1000)
        text = answer[:MAX_STORED_ANSWER_BYTES].decode(errors="replace") or None
        update = {"status": status, "error": error, "milliseconds": milliseconds, "answer": text}
        return self.model_copy(update={**update, "paused_until": paused_until})


def position_of_attempt(name: str) -> str | None:
    """Return the `EventAttempt.position` of the attempt that has this name, or None if the name is malformed."""
    found = ATTEMPT_NAME.fullmatch(name)
    return _position(found[1] or "", found[2], int(found[3])) if found else None


def _position(replay_sid: str, target: str, number: int) -> str:
    return f"{replay_sid}#{target}#{number:02}"
