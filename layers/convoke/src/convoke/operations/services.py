"""The Service resource with its configuration: create, fetch, list, update, delete."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from convoke.domain.conversation_filters import ConversationFilters
from convoke.domain.errors import ConflictError, NotFoundError, UnavailableError, refusal
from convoke.domain.instants import Clock
from convoke.domain.pages import Page, PageRequest
from convoke.domain.service_configuration import ServiceConfigurationChange
from convoke.domain.services import Service
from convoke.domain.sids import NewSid, Prefix, parse_sid
from convoke.storage.accounts import AccountRepository
from convoke.storage.conversations import ConversationRepository
from convoke.storage.services import CachedServices


@dataclass(frozen=True, slots=True)
class ServiceOperations:
    services: CachedServices
    accounts: AccountRepository
    conversations: ConversationRepository
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

    def update(self, account_sid: str, chat_service_sid: str, change: ServiceConfigurationChange) -> Service:
        """Change what was given of its configuration. Raises NotFoundError, or for a role that it does not have."""
        service = self.fetch(account_sid, chat_service_sid)
        if problems := change.problems(service):
            raise refusal(problems)
        if not change.model_fields_set:
            return service
        updated = self.services.update(account_sid, service.sid, change)
        if updated is None:
            raise NotFoundError
        return updated

    def delete(self, account_sid: str, chat_service_sid: str) -> None:
        """Raises NotFoundError, or ConflictError for the default service and for one that has conversations.

        A process that remembers the service may for some seconds go on creating conversations in it.
        """
        known = parse_sid(chat_service_sid, Prefix.SERVICE)
        service = known and self.services.stored.fetch(account_sid, known)
        account = self.accounts.fetch(account_sid)
        if not service or account is None:
            raise NotFoundError
        if account.default_chat_service_sid == service.sid:
            raise ConflictError(reason="default_service")
        if self.conversations.list(account_sid, service.sid, ConversationFilters(), PageRequest(1)).has_any:
            raise ConflictError(reason="has_conversations")
        if not self.services.delete(account_sid, service.sid, account.default_chat_service_sid):
            raise UnavailableError


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
