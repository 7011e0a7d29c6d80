"""The Conversation resource: fetch, list, update, delete. It is created as one with participants is, without any."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass
from functools import wraps
from typing import ParamSpec, TypeVar

from tenacity import RetryCallState, Retrying, retry_if_exception_type, stop_after_delay, wait_random_exponential

from convoke.domain.conversation_filters import ConversationFilters
from convoke.domain.conversation_requests import ConversationChange
from convoke.domain.conversations import MAX_NAME_CHARACTERS, Conversation
from convoke.domain.errors import NotFoundError, UnavailableError
from convoke.domain.events import Event, conversation_removed, conversation_updated
from convoke.domain.instants import Clock
from convoke.domain.pages import Page, PageRequest
from convoke.domain.pre_events import apply_conversation_reply, conversation_remove, conversation_update
from convoke.domain.provisioning import Provisioning
from convoke.domain.services import Service
from convoke.domain.sids import NewSid, Prefix, parse_sid
from convoke.operations.pre_events import RequestWebhooks
from convoke.storage.conversations import ConversationRepository
from convoke.storage.events import EventRepository
from convoke.storage.provisioning import ProvisioningRepository
from convoke.storage.revisions import ChangedMeanwhileError

logger = logging.getLogger(__name__)

MAX_CONTENTION_SECONDS = 15
"""Seconds. Of several requests that change one conversation at once, each attempt brings at least one through."""


def _give_up(_: RetryCallState) -> None:
    raise UnavailableError


_contending = Retrying(
    retry=retry_if_exception_type(ChangedMeanwhileError),
    wait=wait_random_exponential(multiplier=0.01, max=1),
    stop=stop_after_delay(MAX_CONTENTION_SECONDS),
    retry_error_callback=_give_up,
)

Given = ParamSpec("Given")
Answered = TypeVar("Answered")


def retry_on_conflict(operation: Callable[Given, Answered]) -> Callable[Given, Answered]:
    """Done again from reading on where another request was faster, so that neither loses what the other has written.

    Tenacity's own decorator keeps one account of its attempts for all threads, and fails where two do something again.
    """

    @wraps(operation)
    def retrying(*arguments: Given.args, **options: Given.kwargs) -> Answered:
        return _contending.copy()(operation, *arguments, **options)

    return retrying


@dataclass(frozen=True, slots=True)
class ConversationOperations:
    conversations: ConversationRepository
    provisionings: ProvisioningRepository
    changes: EventRepository
    now: Clock
    new_sid: NewSid

    def fetch(self, service: Service, sid: str) -> Conversation:
        """By SID or unique name. Raises NotFoundError, also for one of another service (reference, a.0)."""
        known = self._known_sid(service, sid)
        found = known and self.conversations.fetch(service.account_sid, known)
        if not found or found.chat_service_sid != service.sid:
            raise NotFoundError
        return found

    def list(self, service: Service, filters: ConversationFilters, page: PageRequest) -> Page[Conversation]:
        return self.conversations.list(service.account_sid, service.sid, filters, page)

    @retry_on_conflict
    def update(
        self, service: Service, sid: str, requested: ConversationChange, *, request_webhooks: RequestWebhooks
    ) -> Conversation:
        """Change what was given and leave the rest; where that is nothing, nothing changes (reference, a.1 and e).

        Raises NotFoundError, UniqueNameTakenError, and why a conversation in its state takes no changes.
        """
        conversation = self.fetch_to_change(service, sid)
        if requested.changes_nothing(conversation):
            return conversation
        now = self.now()
        updated = requested.applied_to(conversation, now)
        if not requested.changes_only_state:
            updated = apply_conversation_reply(updated, request_webhooks.ask(lambda: conversation_update(updated)))
        change = conversation_updated(
            self.new_sid(Prefix.CHANGE),
            conversation,
            updated,
            state_alone=requested.changes_only_state,
            at=now,
            notify_webhooks=request_webhooks.enabled,
        )
        self.conversations.update(conversation, updated, change)
        return updated

    @retry_on_conflict
    def delete(self, service: Service, sid: str, *, request_webhooks: RequestWebhooks) -> None:
        """In any state. From now on it is not found, and its locks are free; the sweeper removes what is left of it.

        Raises NotFoundError, also where it is deleted already.
        """
        conversation, provisioning = self.fetch_with_provisioning(service, sid)
        if conversation.date_removed:
            raise NotFoundError
        request_webhooks.ask(lambda: conversation_remove(conversation))
        now, told = self.now(), request_webhooks.enabled
        untold = self._untold(conversation, provisioning)
        change = conversation_removed(self.new_sid(Prefix.CHANGE), conversation, untold, at=now, notify_webhooks=told)
        self.conversations.delete(conversation, conversation.as_tombstone(now), change, provisioning)
        logger.info("conversation deleted", extra={"conversation_sid": conversation.sid})

    def fetch_to_change(self, service: Service, sid: str) -> Conversation:
        """Raises NotFoundError, and why a conversation in its state takes no changes."""
        conversation, _ = self.fetch_with_provisioning(service, sid)
        conversation.refuse_changes()
        return conversation

    def fetch_with_provisioning(self, service: Service, sid: str) -> tuple[Conversation, Provisioning | None]:
        """Raises NotFoundError, but not for a deleted one."""
        known = self._known_sid(service, sid)
        found = known and self.provisionings.fetch(service.account_sid, known)
        if not found or found[0].chat_service_sid != service.sid:
            raise NotFoundError
        return found

    def _known_sid(self, service: Service, sid: str) -> str | None:
        if known := parse_sid(sid, Prefix.CONVERSATION):
            return known
        return (
            None if len(sid) > MAX_NAME_CHARACTERS else self.conversations.sid_of(service.account_sid, service.sid, sid)
        )

    def _untold(self, conversation: Conversation, provisioning: Provisioning | None) -> tuple[Event, ...]:
        """The event of its leaving `initializing`, where the finalizer may not have come to publishing it (promise 6).

        It has a moment for that only, so this is hardly ever asked for; told twice, the event has the same id.
        """
        if not conversation.unsettled or provisioning is None:
            return ()
        change = self.changes.fetch(conversation.account_sid, provisioning.state_change_sid)
        return change.events if change else ()
