"""Create, fetch, list, update and delete Users."""

from __future__ import annotations

import logging
from collections.abc import Set
from contextlib import suppress

from convoke.domain.errors import NotFoundError, UnknownServiceRoleError, UserExistsError
from convoke.domain.events import Origin, Source, user_added, user_removed, user_updated
from convoke.domain.instants import Clock
from convoke.domain.pages import Page, PageRequest
from convoke.domain.pre_events import user_update
from convoke.domain.roles import RoleType
from convoke.domain.services import Service
from convoke.domain.sids import NewSid, Prefix, parse_sid
from convoke.domain.users import NewUser, User, UserChange, first_seen, user_sid
from convoke.lean_dataclass import lean_dataclass
from convoke.operations.conversations import retry_on_conflict
from convoke.operations.ports import Presence
from convoke.operations.request_webhooks import RequestWebhooks
from convoke.storage.first_sights import FirstSights
from convoke.storage.roles import RoleRepository
from convoke.storage.users import UserKey, UserRepository

logger = logging.getLogger(__name__)


@lean_dataclass
class UserOperations:
    users: UserRepository
    first_sights: FirstSights
    roles: RoleRepository
    presence: Presence
    now: Clock
    new_sid: NewSid

    def create(self, service: Service, requested: NewUser, *, request_webhooks: RequestWebhooks) -> User:
        """Store a User. Raises UserExistsError if the service has a User with this identity.

        Raises UnknownServiceRoleError if the given role is not a role for Users.
        """
        self._check_role(service, requested.role_sid)
        user = requested.user(service, self.now())
        origin = request_webhooks.origin
        change = user_added(self.new_sid(Prefix.CHANGE), user, at=user.date_created, origin=origin)
        self.users.create(user, change)
        return user

    def see(self, service: Service, identity: str) -> None:
        """Create the User of an identity if the User does not exist. Call this method when a chat client connects."""
        if self.users.fetch(service.account_sid, user_sid(service.sid, identity)):
            return
        user = first_seen(service, identity, self.now())
        origin = Origin(notify_webhooks=True, source=Source.SDK, client_identity=identity)
        change = user_added(self.new_sid(Prefix.CHANGE), user, at=user.date_created, origin=origin)
        # Another request can create the User at the same time.
        with suppress(UserExistsError):
            self.users.create(user, change)

    def is_online(self, service: Service, user: User) -> bool | None:
        """Return whether a User is online, or None if the service has not enabled reachability."""
        return self.presence.is_online(user.sid) if service.reachability_enabled else None

    def existing(self, keys: Set[UserKey]) -> set[UserKey]:
        """Return those of `keys` whose Users exist."""
        return self.users.existing(keys)

    def fetch(self, service: Service, sid: str) -> User:
        """Return the User that has the given SID or identity. Raises NotFoundError if the service has no such User."""
        # Convoke rejects an identity that has the form of a User SID, so such a SID is never an identity.
        found = self.users.fetch(service.account_sid, parse_sid(sid, Prefix.USER) or user_sid(service.sid, sid))
        if not found or found.chat_service_sid != service.sid:
            raise NotFoundError
        return found

    def list(self, service: Service, page: PageRequest) -> Page[User]:
        return self.users.list(service.account_sid, service.sid, page)

    @retry_on_conflict
    def update(self, service: Service, sid: str, requested: UserChange, *, request_webhooks: RequestWebhooks) -> User:
        """Store the given fields. If no fields are given, nothing changes.

        Raises NotFoundError. Raises UnknownServiceRoleError if the given role is not a role for Users.
        """
        user = self.fetch(service, sid)
        self._check_role(service, requested.role_sid)
        if not requested.model_fields_set:
            return user
        now = self.now()
        updated = requested.applied_to(user, now)
        request_webhooks.send_pre_event(lambda: user_update(updated))
        change = user_updated(
            self.new_sid(Prefix.CHANGE),
            updated,
            online=self.is_online(service, updated),
            at=now,
            origin=request_webhooks.origin,
        )
        self.users.update(user, updated, change)
        return updated

    @retry_on_conflict
    def delete(self, service: Service, sid: str, *, request_webhooks: RequestWebhooks) -> None:
        """Delete a User. The sweeper deletes the participants of the User later. Raises NotFoundError.

        The User becomes a tombstone. See docs/decisions/0094-user-is-a-tombstone-first.md.
        """
        user = self.fetch(service, sid)
        origin = request_webhooks.origin
        tombstone = user.as_tombstone(self.now(), self.new_sid(Prefix.CHANGE), notify_webhooks=origin.notify_webhooks)
        self.users.update(user, tombstone, user_removed(self.new_sid(Prefix.CHANGE), user))
        self.first_sights.forget(user)
        logger.info("user deleted", extra={"user_sid": user.sid})

    def _check_role(self, service: Service, role_sid: str | None) -> None:
        if role_sid and self.roles.types(service, [role_sid]).get(role_sid) is not RoleType.SERVICE:
            raise UnknownServiceRoleError(field="role_sid")
