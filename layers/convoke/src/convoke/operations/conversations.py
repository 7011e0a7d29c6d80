"""Fetch, list, update and delete conversations.

The module `conversation_with_participants` creates conversations with and without participants.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from contextvars import ContextVar
from functools import cache, wraps
from typing import TYPE_CHECKING, ParamSpec, TypeVar

from convoke.domain.conversation_filters import ConversationFilters
from convoke.domain.conversations import MAX_NAME_CHARACTERS, Conversation, ConversationChange
from convoke.domain.errors import NotFoundError, UnavailableError
from convoke.domain.events import Event, conversation_removed, conversation_updated
from convoke.domain.instants import Clock, Sleep
from convoke.domain.pages import Page, PageRequest
from convoke.domain.pre_events import apply_conversation_reply, conversation_remove, conversation_update
from convoke.domain.provisioning import Provisioning
from convoke.domain.services import Service
from convoke.domain.sids import NewSid, Prefix, parse_sid
from convoke.lean_dataclass import lean_dataclass
from convoke.operations.request_webhooks import RequestWebhooks
from convoke.storage.conversations import ConversationRepository
from convoke.storage.events import EventRepository
from convoke.storage.provisioning import ProvisioningRepository
from convoke.storage.revisions import ChangedMeanwhileError

if TYPE_CHECKING:
    from tenacity import RetryCallState, Retrying

logger = logging.getLogger(__name__)

MAX_CONTENTION_SECONDS = 9
"""The maximum time in seconds for which an operation is retried if other requests change the same resource.

Most retries succeed much earlier. Of several operations that conflict, at least one succeeds, so the number of
conflicting operations decreases.
"""


def _give_up(_: RetryCallState) -> None:
    raise UnavailableError


sleep_before_retry: ContextVar[Sleep] = ContextVar("sleep_before_retry", default=time.sleep)
"""The function that waits before an operation is repeated after a conflict.

The embedded engine must not sleep on its event loop. This engine therefore sets a function that raises an exception.
The engine catches the exception, and later runs the whole request again.
"""


def _sleep(seconds: float) -> None:
    sleep_before_retry.get()(seconds)


@cache
def _contending() -> Retrying:
    # Import here, because tenacity takes 5 ms and 0.4 MB. A start of the embedded engine does not need tenacity.
    from tenacity import (  # noqa: PLC0415 - see above
        Retrying,
        retry_if_exception_type,
        stop_after_delay,
        wait_random_exponential,
    )

    return Retrying(
        sleep=_sleep,
        retry=retry_if_exception_type(ChangedMeanwhileError),
        wait=wait_random_exponential(multiplier=0.01, max=1),
        stop=stop_after_delay(MAX_CONTENTION_SECONDS),
        retry_error_callback=_give_up,
    )


Arguments = ParamSpec("Arguments")
Result = TypeVar("Result")


def retry_on_conflict(operation: Callable[Arguments, Result]) -> Callable[Arguments, Result]:
    """Return a function that calls `operation`, and repeats the whole operation if optimistic locking fails.

    The function raises UnavailableError if optimistic locking still fails after MAX_CONTENTION_SECONDS.
    """

    @wraps(operation)
    def retrying(*arguments: Arguments.args, **options: Arguments.kwargs) -> Result:
        # Use a new copy of the Retrying object for each call, so that calls in several threads, and nested calls,
        # share no state.
        return _contending().copy()(operation, *arguments, **options)

    return retrying


@lean_dataclass
class ConversationOperations:
    conversations: ConversationRepository
    provisionings: ProvisioningRepository
    changes: EventRepository
    now: Clock
    new_sid: NewSid

    def fetch(self, service: Service, sid: str) -> Conversation:
        """Return the conversation that has the given SID or unique name.

        Raises NotFoundError if the conversation does not exist or belongs to another service.
        """
        known = self._resolve_sid(service, sid)
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
        """Store the given fields. See docs/behaviour/conversations.md#update.

        If the request contains no fields, or only the current state, nothing changes.

        Raises the errors of `fetch_to_change`. Raises UniqueNameTakenError if another conversation has the unique name.
        Raises WebhookRejectedError if the receiver of the pre-event rejects the change.
        """
        conversation = self.fetch_to_change(service, sid)
        if requested.changes_nothing(conversation):
            return conversation
        now = self.now()
        updated = requested.applied_to(conversation, now)
        if not requested.changes_only_state:
            updated = apply_conversation_reply(
                updated, request_webhooks.send_pre_event(lambda: conversation_update(updated))
            )
        change = conversation_updated(
            self.new_sid(Prefix.CHANGE),
            conversation,
            updated,
            state_alone=requested.changes_only_state,
            at=now,
            origin=request_webhooks.origin,
        )
        self.conversations.update(conversation, updated, change)
        return updated

    @retry_on_conflict
    def delete(self, service: Service, sid: str, *, request_webhooks: RequestWebhooks) -> None:
        """Delete a conversation in any state, and release its locks.

        The conversation becomes a tombstone, which the sweeper erases later. Raises NotFoundError if the conversation
        does not exist or is already deleted. Raises WebhookRejectedError if the receiver of the pre-event rejects the
        deletion.
        """
        conversation, provisioning = self.fetch_with_provisioning(service, sid)
        if conversation.date_removed:
            raise NotFoundError
        request_webhooks.send_pre_event(lambda: conversation_remove(conversation))
        now, origin = self.now(), request_webhooks.origin
        unpublished = self._unpublished_events(conversation, provisioning)
        change = conversation_removed(self.new_sid(Prefix.CHANGE), conversation, unpublished, at=now, origin=origin)
        self.conversations.delete(conversation, conversation.as_tombstone(now), change, provisioning)
        logger.info("conversation deleted", extra={"conversation_sid": conversation.sid})

    def fetch_to_change(self, service: Service, sid: str) -> Conversation:
        """Return a conversation that the caller may change. `sid` is the SID or the unique name.

        Raises NotFoundError if the conversation does not exist. Raises another error if the conversation is deleted,
        closed or initializing.
        """
        conversation, _ = self.fetch_with_provisioning(service, sid)
        conversation.refuse_changes()
        return conversation

    def fetch_with_provisioning(self, service: Service, sid: str) -> tuple[Conversation, Provisioning | None]:
        """Return a conversation and its provisioning record. `sid` is the SID or the unique name of the conversation.

        The conversation may be a tombstone, which is a deleted conversation. The provisioning record is None if the
        conversation is a tombstone, or was not created by a request with participants. Raises NotFoundError if the
        conversation does not exist.
        """
        known = self._resolve_sid(service, sid)
        found = known and self.provisionings.fetch(service.account_sid, known)
        if not found or found[0].chat_service_sid != service.sid:
            raise NotFoundError
        return found

    def _resolve_sid(self, service: Service, sid: str) -> str | None:
        if known := parse_sid(sid, Prefix.CONVERSATION):
            return known
        return (
            None if len(sid) > MAX_NAME_CHARACTERS else self.conversations.sid_of(service.account_sid, service.sid, sid)
        )

    def _unpublished_events(self, conversation: Conversation, provisioning: Provisioning | None) -> tuple[Event, ...]:
        """Return the event about the end of `initializing` if this event may still be unpublished, otherwise no event.

        The deletion must publish this event, because the finalizer publishes no event of a deleted conversation. If the
        finalizer has published the event but not yet recorded this, receivers get the event twice, with the same event
        ID.
        """
        if not conversation.unsettled or provisioning is None:
            return ()
        change = self.changes.fetch(conversation.account_sid, provisioning.state_change_sid)
        return change.events if change else ()
