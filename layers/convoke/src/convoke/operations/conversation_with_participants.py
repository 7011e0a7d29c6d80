"""Create a conversation, with or without participants.

This module contains only the work that Convoke does before the response. See
docs/behaviour/conversation-with-participants.md.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime

from convoke.domain.accounts import Account
from convoke.domain.conversation_with_participants import PARTICIPANTS, relation_problems
from convoke.domain.conversations import Conversation, NewConversation, State
from convoke.domain.errors import (
    ConversationsError,
    InvalidRoleSidError,
    MessagingServiceMissingError,
    refusal,
)
from convoke.domain.events import conversation_added
from convoke.domain.idempotency import IdempotencyRecord, IdempotentRequest
from convoke.domain.instants import Clock
from convoke.domain.participants import NewParticipant
from convoke.domain.pre_events import apply_conversation_reply, conversation_add
from convoke.domain.provisioning import Provisioning, ProvisioningRetries
from convoke.domain.roles import RoleType
from convoke.domain.services import Service
from convoke.domain.sids import NewSid, Prefix
from convoke.lean_dataclass import lean_dataclass
from convoke.observability import Measure, Metrics
from convoke.operations.participants import binding_ownership_problems, new_participant
from convoke.operations.ports import ParticipantQueue
from convoke.operations.request_webhooks import RequestWebhooks
from convoke.storage.conversations import ConversationRepository
from convoke.storage.roles import RoleRepository

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Created:
    conversation: Conversation
    repeated: bool
    """Whether an earlier request with the same Idempotency-Key created the conversation."""


@lean_dataclass
class ConversationWithParticipantsOperations:
    conversations: ConversationRepository
    roles: RoleRepository
    participant_queue: ParticipantQueue
    retries: ProvisioningRetries
    now: Clock
    new_sid: NewSid
    metrics: Metrics

    def create(
        self,
        account: Account,
        service: Service,
        requested: NewConversation,
        participants: tuple[NewParticipant, ...],
        *,
        request_webhooks: RequestWebhooks,
        idempotent: IdempotentRequest | None = None,
    ) -> Created:
        """Store a conversation and its locks. Enqueue the participants if the request contains participants.

        A conversation with participants starts in the state `initializing`. A conversation without participants has the
        requested state immediately. A repeated request with the same Idempotency-Key stores and enqueues nothing.

        If the request breaks rules, the method stores nothing and raises the error of the first broken rule. The errors
        of the other broken rules are attached to this error. See
        docs/behaviour/conversation-with-participants.md#order-of-checks.

        If the request enables webhooks, the method sends a pre-event before it stores the conversation. Raises
        WebhookRejectedError if the receiver rejects the pre-event. Also raises the errors of
        ConversationRepository.create, for example if another conversation has the unique name.
        """
        if problems := self.problems(account, service, requested, participants):
            raise refusal(problems)
        # If an earlier request with the same Idempotency-Key has created the conversation, stop before the pre-event.
        # Convoke must send no pre-event for an existing conversation.
        if (
            idempotent
            and request_webhooks.origin.notify_webhooks
            and (known := self._find_repeated(account, idempotent))
        ):
            return self._repeated(known)
        conversation = self._new(
            account, service, requested, request_webhooks.origin.client_identity, initializing=bool(participants)
        )
        conversation = apply_conversation_reply(
            conversation, request_webhooks.send_pre_event(lambda: conversation_add(conversation))
        )
        origin = request_webhooks.origin
        change = conversation_added(self.new_sid(Prefix.CHANGE), conversation, at=self.now(), origin=origin)
        provisioning = self._provisioning(conversation, service, participants, notify_webhooks=origin.notify_webhooks)
        if provisioning:
            conversation = conversation.with_participants(*provisioning.participants)
        record = self._record(conversation, idempotent) if idempotent else None
        created = self.conversations.create(conversation, change, provisioning, record)
        if created.sid != conversation.sid:
            return self._repeated(created)
        self._report_created(conversation)
        if provisioning:
            self._enqueue(provisioning)
        return Created(conversation, repeated=False)

    def problems(
        self,
        account: Account,
        service: Service,
        requested: NewConversation | None,
        participants: Sequence[NewParticipant],
    ) -> list[ConversationsError]:
        """Return the errors for all broken rules that concern several participants, the account or the service.

        The errors are in the order of the checks. The caller must first check the rules that concern only one
        participant. `requested` must be None if the parameters of the conversation are invalid.
        """
        return [
            *ownership_problems(account, participants),
            *relation_problems(participants),
            *self._role_problems(service, participants),
            *(messaging_service_problems(account, requested, participants) if requested else ()),
        ]

    def _role_problems(self, service: Service, participants: Sequence[NewParticipant]) -> Iterator[ConversationsError]:
        """Yield an error for each participant whose role does not exist in the service or has the wrong type."""
        given = {member.role_sid for member in participants if member.role_sid}
        if not given:
            return
        types = self.roles.types(service, given)
        for position, member in enumerate(participants):
            if member.role_sid and types.get(member.role_sid) is not RoleType.CONVERSATION:
                yield InvalidRoleSidError(field=(PARTICIPANTS, position, "role_sid"))

    def _record(self, conversation: Conversation, request: IdempotentRequest) -> IdempotencyRecord:
        return IdempotencyRecord(
            key=request.key, fingerprint=request.fingerprint, conversation=conversation, date_created=self.now()
        )

    def _find_repeated(self, account: Account, request: IdempotentRequest) -> Conversation | None:
        return self.conversations.find_repeated(account.sid, request, self.now())

    @staticmethod
    def _repeated(conversation: Conversation) -> Created:
        # The participants need not be enqueued, because the first request enqueued them. If the first request could not
        # enqueue the participants, the sweeper adds the participants.
        logger.info("repeated request answered", extra={"conversation_sid": conversation.sid})
        return Created(conversation, repeated=True)

    def _report_created(self, conversation: Conversation) -> None:
        logger.info("conversation created", extra={"conversation_sid": conversation.sid})
        self.metrics.add(Measure.CREATED)

    def _enqueue(self, provisioning: Provisioning) -> None:
        """Enqueue the participants. A failure is only logged, because the sweeper later adds the participants."""
        try:
            self.participant_queue.send(provisioning)
        except Exception:
            logger.exception("enqueuing participants failed", extra={"conversation_sid": provisioning.conversation_sid})

    def _new(
        self,
        account: Account,
        service: Service,
        requested: NewConversation,
        created_by: str | None,
        *,
        initializing: bool,
    ) -> Conversation:
        now = self.now()
        conversation = new_conversation(self.new_sid(Prefix.CONVERSATION), account, service, requested, now)
        if initializing:
            due_at = self.retries.next_attempt_at(now, 0)
            update = {"created_by": created_by, "state": State.INITIALIZING, "due_at": due_at}
            return conversation.model_copy(update=update)
        return conversation.model_copy(update={"created_by": created_by}).with_timers_from(now)

    def _provisioning(
        self,
        conversation: Conversation,
        service: Service,
        requested: tuple[NewParticipant, ...],
        *,
        notify_webhooks: bool,
    ) -> Provisioning | None:
        """Return the provisioning record with the participants to add, or None if there are no participants."""
        if not requested:
            return None
        now = self.now()
        sids = self.new_sid.batch(Prefix.PARTICIPANT, len(requested))
        return Provisioning(
            account_sid=conversation.account_sid,
            chat_service_sid=conversation.chat_service_sid,
            conversation_sid=conversation.sid,
            participants=tuple(
                new_participant(sid, conversation, service, member, now)
                for sid, member in zip(sids, requested, strict=True)
            ),
            notify_webhooks=notify_webhooks,
            added_change_sid=self.new_sid(Prefix.CHANGE),
            state_change_sid=self.new_sid(Prefix.CHANGE),
            alert_sid=self.new_sid(Prefix.ALERT),
            date_created=now,
        )


def new_conversation(
    sid: str, account: Account, service: Service, requested: NewConversation, now: datetime
) -> Conversation:
    """Return the conversation to store. The conversation has no participants, and its timers do not run."""
    created = requested.date_created or now
    return Conversation(
        account_sid=account.sid,
        chat_service_sid=service.sid,
        messaging_service_sid=_messaging_service_sid(account, requested),
        sid=sid,
        friendly_name=requested.friendly_name,
        unique_name=requested.unique_name,
        attributes=requested.attributes,
        state=requested.state,
        date_created=created,
        date_updated=requested.date_updated or created,
        email=requested.email(None),
        timers=requested.timers(account.default_timers),
        requested_state=requested.state,
    )


def ownership_problems(account: Account, participants: Sequence[NewParticipant]) -> Iterator[ConversationsError]:
    """Yield an error for each participant whose `address` belongs to the account.

    Also yield an error for each proxy address and each projected address that the account does not own.
    """
    for position, member in enumerate(participants):
        path, binding = (PARTICIPANTS, position, "messaging_binding"), member.messaging_binding
        yield from binding_ownership_problems(
            account, path, binding.address, binding.proxy_address, binding.projected_address
        )


def messaging_service_problems(
    account: Account, requested: NewConversation, participants: Sequence[NewParticipant]
) -> Iterator[ConversationsError]:
    """Yield an error if a participant has a messaging binding, but the conversation would have no messaging service.

    If the request names no messaging service, the conversation gets the default messaging service of the account.
    """
    if not _messaging_service_sid(account, requested) and any(member.binding() for member in participants):
        yield MessagingServiceMissingError(field="messaging_service_sid")


def _messaging_service_sid(account: Account, requested: NewConversation) -> str | None:
    return requested.messaging_service_sid or account.default_messaging_service_sid
