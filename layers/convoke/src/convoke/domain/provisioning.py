"""Provisioning adds the participants of a ConversationWithParticipants request, after the conversation is stored.

See docs/behaviour/provisioning.md.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from enum import StrEnum
from itertools import chain
from typing import Annotated, Self

from pydantic import ConfigDict, Field

from convoke.domain.events import Subject
from convoke.domain.instants import Instant
from convoke.domain.model import Model
from convoke.domain.participants import Participant
from convoke.domain.pauses import doubled_pause


class ProvisioningStatus(StrEnum):
    PENDING = "pending"
    ADDED = "added"
    FAILED = "failed"


class Cause(Model):
    """The reason why Convoke could not add a participant.

    If `participant_sid` is None, the cause applies to every participant.
    """

    code: int
    message: str
    participant_sid: str | None = None


class ProvisioningSummary(Model):
    """A provisioning without its participants.

    `ConversationFinalizer.finalize` reads only this part, because its validation takes less time than the validation of
    the whole provisioning.
    """

    model_config = ConfigDict(populate_by_name=True, serialize_by_alias=True)

    account_sid: str
    chat_service_sid: str
    conversation_sid: str
    status: ProvisioningStatus = ProvisioningStatus.PENDING
    causes: tuple[Cause, ...] = ()
    notify_webhooks: bool = Field(default=False, alias="webhooks")
    """Whether webhooks get the events of the added participants. In stored items, the field is named `webhooks`."""
    added_change_sid: str
    """The SID of the change record about the added participants."""
    state_change_sid: str
    """The SID of the change record about the end of the state `initializing`."""
    alert_sid: str
    """The SID of the alert that Convoke creates if the provisioning fails."""
    date_created: Instant
    date_updated: Instant | None = None
    """The time at which the status changed. None while the status is `pending`."""


class Provisioning(ProvisioningSummary):
    """A stored record of the participants that Convoke must add to a conversation, and of the result.

    The transaction that creates the conversation also creates this record. The record determines the SIDs of all items
    that provisioning creates. Therefore a repeated step of provisioning creates no duplicates.
    """

    participants: tuple[Participant, ...]

    @property
    def subject(self) -> Subject:
        return Subject(self.account_sid, self.chat_service_sid, self.conversation_sid)

    @property
    def shared_causes(self) -> tuple[Cause, ...]:
        """The causes that apply to every participant."""
        return tuple(cause for cause in self.causes if cause.participant_sid is None)

    def cause_of(self, participant: Participant) -> Cause | None:
        """Return the reason why Convoke could not add `participant`, or None if there is no such reason.

        A cause that applies only to `participant` has priority over a cause that applies to every participant.
        """
        own = (cause for cause in self.causes if cause.participant_sid == participant.sid)
        return next(chain(own, self.shared_causes), None)

    def added(self, moment: datetime) -> Self:
        """Return a copy of the record with the status `added`."""
        return self.model_copy(update={"status": ProvisioningStatus.ADDED, "date_updated": moment})

    def failed(self, causes: Sequence[Cause], moment: datetime) -> Self:
        """Return a copy of the record with the status `failed` and the causes."""
        update = {"status": ProvisioningStatus.FAILED, "causes": tuple(causes), "date_updated": moment}
        return self.model_copy(update=update)


MAX_LATE_PAUSE = timedelta(days=1)
"""The maximum pause between two late attempts. An attempt is late if at least `max_attempts` attempts came before.

`max_attempts` and `max_pause` are settings in `ProvisioningRetries`. If `max_pause` is longer than MAX_LATE_PAUSE, then
`max_pause` is also the maximum pause between late attempts.
"""


class ProvisioningRetries(Model):
    """The settings for the sweeper's attempts: the pauses, and the number of attempts before an attempt is late.

    See MAX_LATE_PAUSE for late attempts. The settings apply to all due work, not only to provisioning. For example, the
    sweeper finishes an interrupted provisioning, publishes an event, or erases a deleted conversation. See
    docs/how-it-works.md#promise-5-one-index-of-due-work.
    """

    first_pause: Annotated[timedelta, Field(ge=timedelta(seconds=1))] = timedelta(seconds=10)
    max_pause: Annotated[timedelta, Field(ge=timedelta(seconds=1))] = timedelta(minutes=10)
    max_attempts: Annotated[int, Field(ge=1)] = 8

    def next_attempt_at(self, moment: datetime, attempts: int) -> datetime:
        """Return the time of the next attempt. `moment` is the current time.

        `attempts` is the number of attempts until now, including the current attempt. If `attempts` is 0, the pause is
        `first_pause`. The pause doubles with each attempt, up to `max_pause`. Between late attempts, the pause doubles
        further, up to MAX_LATE_PAUSE.

        The number of attempts has no limit. With a limit, a conversation could keep its locks forever, and an event
        might never be published.
        """
        pause = doubled_pause(self.first_pause, attempts, self.max_pause)
        late = max(attempts - self.max_attempts, 0)
        return moment + doubled_pause(pause, late, max(pause, MAX_LATE_PAUSE))

    def is_overdue(self, attempts: int) -> bool:
        """Return whether an alert must report that Convoke fails to process a conversation, User, service or media.

        `attempts` is the number of attempts, including the current attempt. The result is True only for the second late
        attempt, so that Convoke creates only one alert. The first late attempt causes no alert, because this attempt
        usually succeeds. For example, it closes a conversation whose participants could not be added.
        """
        return attempts == self.max_attempts + 2
