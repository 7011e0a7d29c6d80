"""Receive the messages that phones send to business addresses.

See docs/behaviour/inbound-messages.md.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from convoke.domain.accounts import Account
from convoke.domain.address_configurations import AddressConfiguration
from convoke.domain.alerts import media_lost_alert
from convoke.domain.conversation_with_participants import relation_problems
from convoke.domain.conversations import Conversation, NewConversation, State
from convoke.domain.errors import WebhookRejectedError, refusal
from convoke.domain.events import Origin, conversation_autocreated
from convoke.domain.inbound_messages import InboundMessage, Keyword, Outcome, Received, can_answer_in, is_open
from convoke.domain.instants import Clock
from convoke.domain.media import CarrierCredentials
from convoke.domain.messages import Message, NewPhoneMessage
from convoke.domain.participants import NewParticipant
from convoke.domain.pre_events import apply_conversation_reply
from convoke.domain.services import Service
from convoke.domain.sids import NewSid, Prefix
from convoke.lean_dataclass import lean_dataclass
from convoke.operations.conversation_with_participants import (
    messaging_service_problems,
    new_conversation,
    ownership_problems,
)
from convoke.operations.conversations import retry_on_conflict
from convoke.operations.inbound_media import FetchedMediaSids, InboundMedia
from convoke.operations.messages import MessageOperations, new_message
from convoke.operations.participants import new_participant
from convoke.operations.request_webhooks import RequestWebhooks, SendPreEvent
from convoke.storage.address_configurations import AddressConfigurationRepository
from convoke.storage.alerts import alert_writes
from convoke.storage.conversations import ConversationRepository
from convoke.storage.inbound_messages import InboundMessageRepository, record_write
from convoke.storage.revisions import ChangedMeanwhileError
from convoke.storage.services import CachedServices
from convoke.storage.table import Write

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class _Delivery:
    """A delivery of an inbound message by a carrier, with the data that a repeated `_receive` uses again.

    `_receive` is repeated after a conflict. The data contains the replies to pre-events and the fetched media.
    Therefore Convoke sends each pre-event only once, and fetches each media only once for a service.
    """

    inbound: InboundMessage
    credentials: CarrierCredentials | None
    of_conversation: RequestWebhooks
    """The webhook setting for a conversation that the message creates."""
    of_message: RequestWebhooks
    """The webhook setting for a message that is added to an existing conversation. See `of_conversation`.

    A delivery may need both settings: Convoke sends the pre-event about a new conversation, but another request creates
    the conversation first. The repeated `_receive` then adds the message to that conversation, and sends the pre-event
    about the message.
    """
    media: dict[str, FetchedMediaSids] = field(default_factory=dict)
    """Maps the SID of each service to the media that were fetched for the service."""


@lean_dataclass
class InboundMessageOperations:
    inbound_messages: InboundMessageRepository
    conversations: ConversationRepository
    messages: MessageOperations
    configurations: AddressConfigurationRepository
    services: CachedServices
    send_pre_event: SendPreEvent
    media: Callable[[], InboundMedia]
    """Returns the operation that fetches media. This function is called only if a message has media, which is rare."""
    now: Clock
    new_sid: NewSid

    def receive(
        self, account: Account, inbound: InboundMessage, credentials: CarrierCredentials | None = None
    ) -> Received:
        """Store an inbound message in the conversation to which the message belongs, or in a new conversation.

        The result tells what happened. The message is not stored in these cases:

        - A webhook receiver rejects the message.
        - No conversation awaits the message, and no address configuration creates a conversation.
        - An earlier call has stored the message.

        `credentials` give access to the media of the message. Raises a ConversationsError if the message breaks a rule,
        for example MessageEmptyError. Raises UnavailableError if the carrier must deliver the message again.
        """
        inbound.check_addresses()
        origin = Origin(notify_webhooks=True, source=inbound.source)
        webhooks = (RequestWebhooks(self.send_pre_event, origin), RequestWebhooks(self.send_pre_event, origin))
        try:
            received = self._receive(account, _Delivery(inbound, credentials, *webhooks))
        except WebhookRejectedError:
            received = Received(outcome=Outcome.REJECTED)
        context = received.model_dump(mode="json", exclude_none=True)
        logger.info("inbound message received", extra={"account_sid": account.sid, **context})
        return received

    @retry_on_conflict
    def _receive(self, account: Account, delivery: _Delivery) -> Received:
        inbound = delivery.inbound
        earlier, holder_sid = self.inbound_messages.find(account.sid, inbound, self.now())
        if earlier:
            return Received(
                outcome=Outcome.REPEATED,
                conversation_sid=earlier.conversation_sid,
                message_sid=earlier.message_sid,
            )
        if holder_sid:
            return self._add(self._fetch_open(account.sid, holder_sid), delivery)
        if group := self._group_with_last_copy(account.sid, inbound):
            return self._add(group, delivery)
        configuration = self._enabled_configuration(account.sid, inbound)
        if configuration is None:
            return Received(outcome=Outcome.UNCLAIMED)
        return self._create(account, configuration, delivery)

    def _fetch_open(self, account_sid: str, conversation_sid: str) -> Conversation:
        """Return the conversation that awaits a message. Raises ChangedMeanwhileError if the conversation is not open.

        The conversation holds the lock on the addresses in the message. After the error, `_receive` is repeated and
        reads the lock again. If the conversation was closed or deleted meanwhile, it has released the lock. If its
        state is `initializing`, it will soon be open or closed.
        """
        conversation = self.conversations.fetch(account_sid, conversation_sid)
        if conversation is None or not is_open(conversation):
            raise ChangedMeanwhileError
        return conversation

    def _group_with_last_copy(self, account_sid: str, inbound: InboundMessage) -> Conversation | None:
        """Return the group that the phone probably answers, or None.

        The candidates are the open groups that contain the phone and the business number. The result is the candidate
        with the newest copy from the business number to the phone. Only carriers that cannot send a group MMS make this
        search necessary: see `can_answer_in`. For a message to several receivers, the result is always None.
        """
        if inbound.is_group:
            return None
        groups = self.inbound_messages.groups_by_last_copy(account_sid, inbound.sender, inbound.business_address)
        return next((group for group in groups if can_answer_in(group, inbound)), None)

    def _enabled_configuration(self, account_sid: str, inbound: InboundMessage) -> AddressConfiguration | None:
        """Return the address configuration that creates a conversation for the message, or None.

        The keyword STOP creates no conversation, because the phone wants no messages.
        """
        if inbound.keyword is Keyword.STOP:
            return None
        found = self.configurations.fetch_by_address(account_sid, inbound.business_address)
        return found if found and found.auto_creation_enabled else None

    def _add(self, conversation: Conversation, delivery: _Delivery) -> Received:
        inbound = delivery.inbound
        service = self.services.fetch(conversation.account_sid, conversation.chat_service_sid)
        if service is None:
            # The service was deleted, and the sweeper is about to delete the conversation.
            raise ChangedMeanwhileError

        def other_writes(message: Message) -> list[Write]:
            return [record_write(inbound.record(message, self.now())), *self._media_lost(message, service, delivery)]

        message = self.messages.add(
            conversation,
            self._message(service, delivery),
            request_webhooks=delivery.of_message,
            reached=inbound.reached,
            other_writes=other_writes,
        )
        return _added(message)

    def _message(self, service: Service, delivery: _Delivery) -> NewPhoneMessage:
        """Return the parameters of the message. The method fetches the media only once for each service."""
        urls, known = delivery.inbound.media_urls, delivery.media
        if urls and service.sid not in known:
            known[service.sid] = self.media().fetch(service, urls, delivery.credentials)
        return delivery.inbound.message(known[service.sid].sids if urls else ())

    def _media_lost(self, message: Message, service: Service, delivery: _Delivery) -> Sequence[Write]:
        """Return the writes that store an alert about lost media. Return no writes if all media were fetched."""
        fetched = delivery.media.get(service.sid, FetchedMediaSids())
        if not fetched.losses:
            return []
        sent = len(delivery.inbound.media_urls)
        return alert_writes(media_lost_alert(message, service.sid, sent, fetched.losses, self.now()))

    def _create(self, account: Account, configuration: AddressConfiguration, delivery: _Delivery) -> Received:
        """Create a conversation that contains the message. `configuration` has the settings for the conversation."""
        inbound, now = delivery.inbound, self.now()
        members, service = inbound.participants(), self._service(account, configuration)
        _refuse(account, members)
        new = new_conversation(self.new_sid(Prefix.CONVERSATION), account, service, NewConversation(), now)
        participants = [
            new_participant(self.new_sid(Prefix.PARTICIPANT), new, service, member, now) for member in members
        ]
        requested = self._message(service, delivery)
        requested.check_against_participants(participants)
        media = self.messages.sendable_media(new, requested, participants, author=None)
        reply = delivery.of_conversation.send_pre_event(lambda: inbound.pre_event(new, media))
        new = apply_conversation_reply(new, reply)
        message = new_message(self.new_sid(Prefix.MESSAGE), new, requested, participants, media, now)
        created = new.with_participants(*participants).with_message(now)
        webhook = configuration.webhook(new.sid, self.new_sid(Prefix.WEBHOOK), now)
        # Twilio creates a group in the state `initializing`, so the first event shows this state. Convoke creates the
        # group in one transaction, so the stored conversation never has this state.
        initial = new.model_copy(update={"state": State.INITIALIZING}) if inbound.is_group else new
        change = conversation_autocreated(
            self.new_sid(Prefix.CHANGE),
            initial,
            created,
            inbound.binding_payload,
            participants,
            message,
            at=now,
            origin=delivery.of_conversation.origin,
        )
        record = inbound.record(message, now)
        lost = self._media_lost(message, service, delivery)
        self.inbound_messages.create_conversation(record, created, participants, webhook, message, media, change, lost)
        return _added(message)

    def _service(self, account: Account, configuration: AddressConfiguration) -> Service:
        """Return the service of the new conversation.

        If no service is configured, or if the configured service was deleted, return the account's default service.
        """
        sids = (configuration.auto_creation_conversation_service_sid, account.default_chat_service_sid)
        found = (self.services.fetch(account.sid, sid) for sid in sids if sid)
        return next(service for service in found if service)


def _refuse(account: Account, members: Sequence[NewParticipant]) -> None:
    """Raise an error if an inbound message cannot create a conversation with `members`."""
    problems = [
        *ownership_problems(account, members),
        *relation_problems(members),
        *messaging_service_problems(account, NewConversation(), members),
    ]
    if problems:
        raise refusal(problems)


def _added(message: Message) -> Received:
    return Received(outcome=Outcome.ADDED, conversation_sid=message.conversation_sid, message_sid=message.sid)
