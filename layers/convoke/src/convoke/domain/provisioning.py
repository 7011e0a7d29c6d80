"""The asynchronous half of ConversationWithParticipants (reference, b.8)."""

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
    """Why one member, or where `participant_sid` is None all of them, could not be added."""

    code: int
    message: str
    participant_sid: str | None = None


class Provisioning(Model):
    """The members still to add, stored with the conversation; afterwards the record of what became of them.

    The SIDs of all that will come of it are made here, so that doing a step again writes the same items.
    """

    model_config = ConfigDict(populate_by_name=True, serialize_by_alias=True)

    account_sid: str
    chat_service_sid: str
    conversation_sid: str
    participants: tuple[Participant, ...]
    status: ProvisioningStatus = ProvisioningStatus.PENDING
    causes: tuple[Cause, ...] = ()
    notify_webhooks: bool = Field(default=False, alias="webhooks")
    """Whether the request asked for webhooks (reference, d.2)."""
    added_change_sid: str
    state_change_sid: str
    alert_sid: str
    date_created: Instant
    date_updated: Instant | None = None
    """When its status changed."""

    @property
    def subject(self) -> Subject:
        return Subject(self.account_sid, self.chat_service_sid, self.conversation_sid)

    @property
    def shared_causes(self) -> tuple[Cause, ...]:
        return tuple(cause for cause in self.causes if cause.participant_sid is None)

    def cause_of(self, participant: Participant) -> Cause | None:
        """Why a member could not be added: a reason of its own, or else one of all of them."""
        own = (cause for cause in self.causes if cause.participant_sid == participant.sid)
        return next(chain(own, self.shared_causes), None)

    def added(self, moment: datetime) -> Self:
        return self.model_copy(update={"status": ProvisioningStatus.ADDED, "date_updated": moment})

    def failed(self, causes: Sequence[Cause], moment: datetime) -> Self:
        update = {"status": ProvisioningStatus.FAILED, "causes": tuple(causes), "date_updated": moment}
        return self.model_copy(update=update)


MAX_DOUBLINGS = 16
"""Far past any pause. ProvisioningRetries to publish are not limited, and a duration is."""


class ProvisioningRetries(Model):
    """How the sweeper finishes what was interrupted: when, and how often before it gives up (promises 4 and 5)."""

    initial_delay: Annotated[timedelta, Field(ge=timedelta(seconds=1))] = timedelta(seconds=10)
    max_delay: Annotated[timedelta, Field(ge=timedelta(seconds=1))] = timedelta(minutes=10)
    most: Annotated[int, Field(ge=1)] = 8

    def next_attempt_at(self, moment: datetime, attempts: int) -> datetime:
        """When to try again after `attempts` attempts have been made: twice as long each time, up to the longest."""
        return moment + min(self.initial_delay * (1 << min(attempts, MAX_DOUBLINGS)), self.max_delay)
