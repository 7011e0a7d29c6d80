"""ConversationWithParticipants: create. The synchronous half of the heart of Convoke (reference, b)."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from datetime import datetime

from convoke.domain.accounts import Account
from convoke.domain.conversations import Conversation, EmailBinding, NewConversation, State, Timers
from convoke.domain.errors import InvalidRoleSidError, MessagingServiceMissingError
from convoke.domain.events import conversation_added
from convoke.domain.groups import check_relations, number_group
from convoke.domain.instants import Clock
from convoke.domain.participants import NewParticipant, Participant
from convoke.domain.provisioning import Attempts, Provisioning
from convoke.domain.services import Service
from convoke.domain.sids import NewSid, Prefix
from convoke.observability import Measure, Metrics
from convoke.operations.ports import ConversationRepository, ParticipantQueue

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class ConversationWithParticipantsOperations:
    conversations: ConversationRepository
    participant_queue: ParticipantQueue
    attempts: Attempts
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
        webhooks: bool,
    ) -> Conversation:
        """Store the conversation with every lock it needs, hand its members over, and answer it.

        With participants it is `initializing`, without it is in the requested state at once (reference, h 1 and h 2).
        Raises the first rule that does not hold, in the order of b.7; then nothing is stored.
        """
        check_relations(participants)
        check_roles(service, participants)
        conversation = self._new(account, service, requested, initializing=bool(participants))
        check_messaging_service(conversation, participants)
        change = conversation_added(self.new_sid(Prefix.CHANGE), conversation, at=self.now(), webhooks=webhooks)
        provisioning = self._provisioning(conversation, service, participants, webhooks=webhooks)
        self.conversations.create(conversation, change, provisioning)
        self._created(conversation)
        if provisioning:
            self._hand_over(provisioning)
        return conversation

    def _created(self, conversation: Conversation) -> None:
        logger.info("conversation created", extra={"conversation_sid": conversation.sid})
        self.metrics.add(Measure.CREATED)

    def _hand_over(self, provisioning: Provisioning) -> None:
        """Nothing after the commit turns the answer into an error: the sweeper finishes what was not handed over."""
        try:
            self.participant_queue.send(provisioning)
        except Exception:
            logger.exception("participants not handed over", extra={"conversation_sid": provisioning.conversation_sid})

    def _new(
        self, account: Account, service: Service, requested: NewConversation, *, initializing: bool
    ) -> Conversation:
        now = self.now()
        created = requested.date_created or now
        conversation = Conversation(
            account_sid=account.sid,
            chat_service_sid=service.sid,
            messaging_service_sid=requested.messaging_service_sid or account.default_messaging_service_sid,
            sid=self.new_sid(Prefix.CONVERSATION),
            friendly_name=requested.friendly_name,
            unique_name=requested.unique_name,
            attributes=requested.attributes,
            state=requested.state,
            date_created=created,
            date_updated=requested.date_updated or created,
            email=_email(requested),
            timers=Timers(inactive=requested.timers_inactive, closed=requested.timers_closed),
            requested_state=requested.state,
        )
        if initializing:
            due_at = self.attempts.next_after(now, 0)
            return conversation.model_copy(update={"state": State.INITIALIZING, "due_at": due_at})
        return conversation.with_timers_from(now)

    def _provisioning(
        self, conversation: Conversation, service: Service, requested: tuple[NewParticipant, ...], *, webhooks: bool
    ) -> Provisioning | None:
        """What is left to do; None without participants."""
        if not requested:
            return None
        now = self.now()
        return Provisioning(
            account_sid=conversation.account_sid,
            chat_service_sid=conversation.chat_service_sid,
            conversation_sid=conversation.sid,
            participants=tuple(self._participant(conversation, service, member, now) for member in requested),
            number_group=number_group(requested),
            webhooks=webhooks,
            added_change_sid=self.new_sid(Prefix.CHANGE),
            state_change_sid=self.new_sid(Prefix.CHANGE),
            alert_sid=self.new_sid(Prefix.ALERT),
            date_created=now,
        )

    def _participant(
        self, conversation: Conversation, service: Service, requested: NewParticipant, now: datetime
    ) -> Participant:
        created = requested.date_created or now
        default_role = None if requested.group_address else service.conversation_user_role_sid
        return Participant(
            account_sid=conversation.account_sid,
            conversation_sid=conversation.sid,
            sid=self.new_sid(Prefix.PARTICIPANT),
            identity=requested.identity,
            attributes=requested.attributes,
            messaging_binding=requested.binding(),
            role_sid=requested.role_sid or default_role,
            date_created=created,
            date_updated=requested.date_updated or created,
        )


def check_roles(service: Service, participants: tuple[NewParticipant, ...]) -> None:
    for position, member in enumerate(participants):
        if member.role_sid is not None and member.role_sid not in service.conversation_role_sids:
            raise InvalidRoleSidError(parameter=f"Participant[{position}].role_sid")


def check_messaging_service(conversation: Conversation, participants: tuple[NewParticipant, ...]) -> None:
    """Whoever is no pure chat member needs a Messaging Service to be reached through (reference, b.3)."""
    if conversation.messaging_service_sid is None and any(member.binding() for member in participants):
        raise MessagingServiceMissingError(parameter="MessagingServiceSid")


def _email(requested: NewConversation) -> EmailBinding | None:
    if requested.bindings_email_address is None and requested.bindings_email_name is None:
        return None
    return EmailBinding(projected_address=requested.bindings_email_address, name=requested.bindings_email_name)
