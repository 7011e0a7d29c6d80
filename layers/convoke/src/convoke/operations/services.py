"""Create, fetch, list and delete services."""

from __future__ import annotations

import logging
from datetime import datetime

from convoke.domain.errors import ConflictError, NotFoundError, UnavailableError
from convoke.domain.instants import Clock
from convoke.domain.pages import Page, PageRequest
from convoke.domain.services import DeletedService, Service
from convoke.domain.sids import NewSid, Prefix, parse_sid
from convoke.lean_dataclass import lean_dataclass
from convoke.storage.accounts import AccountRepository
from convoke.storage.services import CachedServices

logger = logging.getLogger(__name__)


@lean_dataclass
class ServiceOperations:
    services: CachedServices
    accounts: AccountRepository
    now: Clock
    new_sid: NewSid

    def create(self, account_sid: str, friendly_name: str) -> Service:
        service = new_service(account_sid, friendly_name, self.now(), self.new_sid)
        self.services.create(service)
        return service

    def fetch(self, account_sid: str, chat_service_sid: str) -> Service:
        """Return a service. Raises NotFoundError if the service does not exist or belongs to another account."""
        known = parse_sid(chat_service_sid, Prefix.SERVICE)
        service = known and self.services.fetch(account_sid, known)
        if not service:
            raise NotFoundError
        return service

    def list(self, account_sid: str, page: PageRequest) -> Page[Service]:
        return self.services.list(account_sid, page)

    def delete(self, account_sid: str, chat_service_sid: str) -> None:
        """Delete a service. The sweeper later deletes the conversations and all other items of the service.

        Raises NotFoundError. Raises ConflictError if the service is the default service. Raises UnavailableError if
        another request changes the default service or deletes the service at the same time.

        Other processes may use a cached copy of the deleted service for some seconds.
        """
        known = parse_sid(chat_service_sid, Prefix.SERVICE)
        # Read without the cache, because the cache may contain a service that is already deleted.
        service = known and self.services.stored.fetch(account_sid, known)
        account = self.accounts.fetch(account_sid)
        if not service or account is None:
            raise NotFoundError
        if account.default_chat_service_sid == service.sid:
            raise ConflictError(reason="default_service")
        now = self.now()
        deleted = DeletedService(service=service, date_removed=now, due_at=now)
        if not self.services.delete(deleted, account.default_chat_service_sid):
            raise UnavailableError
        logger.info("service deleted", extra={"chat_service_sid": service.sid})


def new_service(account_sid: str, friendly_name: str, now: datetime, new_sid: NewSid) -> Service:
    return Service(
        account_sid=account_sid,
        sid=new_sid(Prefix.SERVICE),
        friendly_name=friendly_name,
        date_created=now,
        date_updated=now,
        service_admin_role_sid=new_sid(Prefix.ROLE),
        service_user_role_sid=new_sid(Prefix.ROLE),
        conversation_admin_role_sid=new_sid(Prefix.ROLE),
        conversation_user_role_sid=new_sid(Prefix.ROLE),
    )
