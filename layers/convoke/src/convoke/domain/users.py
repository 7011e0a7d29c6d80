"""The User resource: a person who takes part in the conversations of a service. A User has an identity.

A request can create a User. Otherwise, Convoke creates the User when a participant with the identity is added
(storage/first_sights.py), or when a chat client with the identity connects (operations/users.py). See
docs/behaviour/users.md.
"""

from __future__ import annotations

import hashlib
from datetime import datetime
from typing import Annotated, ClassVar, Self

from pydantic import AfterValidator, Field

from convoke.domain.attributes import check_attributes
from convoke.domain.conversations import FriendlyName
from convoke.domain.errors import (
    AttributesNotJsonError,
    AttributesTooLongError,
    ConversationsError,
    FriendlyNameTooLongError,
    IdentityLooksLikeUserSidError,
    IdentityMissingError,
    IdentityTooLongError,
    UnknownServiceRoleError,
)
from convoke.domain.event_ids import to_event_id
from convoke.domain.instants import Instant
from convoke.domain.json_schema import attributes_schema, sid_schema
from convoke.domain.model import Model
from convoke.domain.participants import Identity
from convoke.domain.services import Service
from convoke.domain.sids import Prefix, is_sid

MAX_USER_ATTRIBUTES_BYTES = 16 * 1024


def user_sid(chat_service_sid: str, identity: str) -> str:
    """Return the SID of the User that has `identity` in a service.

    The SID is a hash of the service SID and the identity. Therefore Convoke can compute the SID without reading the
    User.
    """
    return Prefix.USER + hashlib.sha256(f"{chat_service_sid}#{identity}".encode()).hexdigest()[:32]


class Leaving(Model):
    """The participants that the sweeper must delete because their User was deleted.

    Exceptions: the participants of closed conversations stay. A participant of a group MMS loses only its identity if
    the remaining numbers are the numbers of another group MMS.
    """

    before_sid: str
    """A change SID that was created when the User was deleted. The sweeper deletes participants with older SIDs."""
    since: Instant
    """The time of the deletion."""
    notify_webhooks: bool
    """Whether webhooks get the events about the deleted participants."""

    def includes(self, participant_sid: str) -> bool:
        """Return whether the participant is older than the deletion.

        Without their prefixes, participant SIDs and change SIDs sort by the time of their creation.
        """
        return participant_sid[len(Prefix.PARTICIPANT) :] < self.before_sid[len(Prefix.CHANGE) :]


class User(Model):
    """A stored User."""

    account_sid: str
    chat_service_sid: str
    sid: str
    identity: str
    role_sid: str
    friendly_name: str | None = None
    attributes: str = "{}"
    date_created: Instant
    date_updated: Instant
    revision: int = 0
    """The number of times that the User was changed, for optimistic locking. The claims of the sweeper do not count."""
    date_removed: Instant | None = None
    """The time at which the User was deleted. None if the User is not deleted.

    A deleted User becomes a tombstone, which the API does not show.
    """
    leaving: Leaving | None = None
    """The participants that the sweeper must delete because a User with this identity was deleted. Otherwise None.

    A tombstone always has this field. A new User that replaces the tombstone keeps the field until the participants of
    the deleted User are deleted.
    """
    due_at: Instant | None = None
    """The time at which the sweeper must process the User next. None if `leaving` is None."""
    attempts: int = 0
    """How many sweeps have processed the User since the deletion of the User, or since the last reset of this number.

    The pause until the next sweep grows with this number. A sweep that runs out of time resets the number to 0, unless
    the deletion of a participant failed in this sweep. After a reset, the next sweep does not wait.
    """

    event_id: int | None = None
    """The event id of the last change. If None, the event id is derived from `date_updated`."""

    @property
    def last_event_id(self) -> int:
        return self.event_id or to_event_id(self.date_updated)

    def as_tombstone(self, moment: datetime, sid: str, *, notify_webhooks: bool) -> Self:
        """Return the User as a tombstone. The only personal data in a tombstone is the identity.

        `sid` must be a new SID with the prefix `EV`. The tombstone stores this SID as `Leaving.before_sid`.
        """
        update = {
            "friendly_name": None,
            "attributes": "{}",
            "date_removed": moment,
            "leaving": Leaving(before_sid=sid, since=moment, notify_webhooks=notify_webhooks),
            "due_at": moment,
            "attempts": 0,
        }
        return self.model_copy(update=update)

    def in_place_of(self, tombstone: User) -> Self:
        """Return a copy of this new User that can replace `tombstone`, a deleted User with the same identity.

        The copy also gets `leaving`, because the sweeper must still delete the participants of the deleted User.
        """
        kept = {"leaving": tombstone.leaving, "due_at": tombstone.due_at, "attempts": tombstone.attempts}
        # Use a greater event id than the tombstone, even if the clock was set back after the deletion.
        event_id = max(self.last_event_id, tombstone.last_event_id + 1)
        return self.model_copy(update={**kept, "revision": tombstone.revision + 1, "event_id": event_id})

    def after_leaving(self) -> Self:
        """Return the User without `leaving`. Call this method when the participants of the deleted User are deleted."""
        return self.model_copy(update={"leaving": None, "due_at": None, "attempts": 0})


def first_seen(service: Service, identity: str, moment: datetime) -> User:
    """Return the User that Convoke stores when an identity is used in a service for the first time."""
    return User(
        account_sid=service.account_sid,
        chat_service_sid=service.sid,
        sid=user_sid(service.sid, identity),
        identity=identity,
        role_sid=service.user_role_sid,
        date_created=moment,
        date_updated=moment,
    )


def check_user_role_sid(sid: str) -> str:
    if not is_sid(sid, Prefix.ROLE):
        raise UnknownServiceRoleError
    return sid


def check_user_attributes(attributes: str) -> str:
    return check_attributes(attributes, MAX_USER_ATTRIBUTES_BYTES)


UserAttributes = Annotated[str, AfterValidator(check_user_attributes), attributes_schema(MAX_USER_ATTRIBUTES_BYTES)]
UserRoleSid = Annotated[str, AfterValidator(check_user_role_sid), sid_schema(Prefix.ROLE)]


class UserParameters(Model):
    """The common parameters of create requests and update requests."""

    order_of_checks: ClassVar[tuple[type[ConversationsError], ...]] = (
        IdentityMissingError,
        IdentityTooLongError,
        IdentityLooksLikeUserSidError,
        FriendlyNameTooLongError,
        AttributesTooLongError,
        AttributesNotJsonError,
        UnknownServiceRoleError,
    )

    friendly_name: FriendlyName | None = None
    attributes: UserAttributes = "{}"
    role_sid: UserRoleSid | None = None


class NewUser(UserParameters):
    """The parameters of a request that creates a User."""

    # With `validate_default`, a missing identity causes the same error as an empty identity.
    identity: Identity = Field(default="", validate_default=True)

    def user(self, service: Service, moment: datetime) -> User:
        """Return the User to store."""
        given = self.model_dump(include={"friendly_name", "attributes", "role_sid"}, exclude_unset=True)
        return first_seen(service, self.identity, moment).model_copy(update=given)


class UserChange(UserParameters):
    """The parameters of a request that updates a User.

    The request changes the fields in `model_fields_set`, and `date_updated`.
    """

    def applied_to(self, user: User, moment: datetime) -> User:
        """Return the changed User. Its `date_updated` is never earlier than the stored `date_updated`."""
        return user.model_copy(
            update={**self.model_dump(exclude_unset=True), "date_updated": max(moment, user.date_updated)}
        )
