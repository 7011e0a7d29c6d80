"""The Service resource: create, fetch, list."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from convoke.domain.errors import NotFoundError
from convoke.domain.instants import Clock
from convoke.domain.pages import Page, PageRequest
from convoke.domain.services import Service
from convoke.domain.sids import NewSid, Prefix, parse_sid
from convoke.operations.ports import ServiceRepository


@dataclass(frozen=True, slots=True)
class ServiceOperations:
    services: ServiceRepository
    now: Clock
    new_sid: NewSid

    def create(self, account_sid: str, friendly_name: str) -> Service:
        service = new_service(account_sid, friendly_name, self.now(), self.new_sid)
        self.services.create(service)
        return service

    def fetch(self, account_sid: str, chat_service_sid: str) -> Service:
        """Raises NotFoundError, also for another account's service."""
        known = parse_sid(chat_service_sid, Prefix.SERVICE)
        service = known and self.services.fetch(account_sid, known)
        if not service:
            raise NotFoundError
        return service

    def list(self, account_sid: str, page: PageRequest) -> Page[Service]:
        return self.services.list(account_sid, page)


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
