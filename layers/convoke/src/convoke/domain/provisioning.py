"""Provisioning: Convoke adds the participants of a ConversationWithParticipants request after the response.

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


class ProvisioningStatus(StrEnum):
    PENDING = "pending"
    ADDED = "added"
    FAILED = "failed"


class Cause(Model):
    """Why a participant could not be added.

    If `participant_sid` is None, the cause applies to every participant.
    """

    code: int
    message: str
    participant_sid: str | None = None


class Provisioning(Model):
    """The stored record of the participants to add to a conversation. Later, the record also contains the result.

    One transaction creates the conversation and this record. The record contains the SIDs of everything that
    provisioning creates, so a repeated step writes the same items again.
    """

    model_config = ConfigDict(populate_by_name=True, serialize_by_alias=True)

    account_sid: str
    chat_service_sid: str
    conversation_sid: str
    participants: tuple[Participant, ...]
    status: ProvisioningStatus = ProvisioningStatus.PENDING
    causes: tuple[Cause, ...] = ()
    notify_webhooks: bool = Field(default=False, alias="webhooks")
    """Whether webhooks get the events of the added participants. In stored items, the field is named `webhooks`."""
    added_change_sid: str
    state_change_sid: str
    alert_sid: str
    date_created: Instant
    date_updated: Instant | None = None
    """When the status changed. None while the status is `pending`."""

    @property
    def subject(self) -> Subject:
        return Subject(self.account_sid, self.chat_service_sid, self.conversation_sid)

    @property
    def shared_causes(self) -> tuple[Cause, ...]:
        """The causes that apply to every participant."""
        return tuple(cause for cause in self.causes if cause.participant_sid is None)

    def cause_of(self, participant: Participant) -> Cause | None:
        """Return why `participant` could not be added: the own cause, else a shared cause, else None."""
        own = (cause for cause in self.causes if cause.participant_sid == participant.sid)
        return next(chain(own, self.shared_causes), None)

    def added(self, moment: datetime) -> Self:
        """Return the record with the status `added`."""
        return self.model_copy(update={"status": ProvisioningStatus.ADDED, "date_updated": moment})

    def failed(self, causes: Sequence[Cause], moment: datetime) -> Self:
        """Return the record with the status `failed` and the causes."""
        update = {"status": ProvisioningStatus.FAILED, "causes": tuple(causes), "date_updated": moment}
        return self.model_copy(update=update)


MAX_DOUBLINGS = 16
"""The maximum exponent of the backoff.

The number of attempts to publish an event has no limit. Without a maximum exponent, the `timedelta` could overflow.
"""


class ProvisioningRetries(Model):
    """When the sweeper resumes interrupted provisioning, and after how many attempts the sweeper stops.

    See docs/how-it-works.md#promises.
    """

    first_pause: Annotated[timedelta, Field(ge=timedelta(seconds=1))] = timedelta(seconds=10)
    max_pause: Annotated[timedelta, Field(ge=timedelta(seconds=1))] = timedelta(minutes=10)
    max_attempts: Annotated[int, Field(ge=1)] = 8

    def next_attempt_at(self, moment: datetime, attempts: int) -> datetime:
        """Return when the next attempt is due. The pause doubles with each attempt, up to `max_pause`."""
        return moment + min(self.first_pause * (1 << min(attempts, MAX_DOUBLINGS)), self.max_pause)
