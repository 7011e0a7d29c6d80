"""The composition root: what the edges provide goes in, the pieces of the program come out.

Both engines are put together here; they differ only in the `Edges` they bring. Each piece imports what it consists of
when it is made, so that the cold start of one function does not pay for another.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Protocol

from convoke.domain.instants import Clock, Sleep
from convoke.domain.provisioning import Attempts
from convoke.domain.receivers import ReceiverRules
from convoke.domain.sids import NewSid
from convoke.observability import Metrics
from convoke.operations.ports import AuthTokens, DeliveryQueue, EventBus, ParticipantQueue, WebhookClient, Workflow
from convoke.storage.table import Table

if TYPE_CHECKING:
    from convoke.api.app import Api
    from convoke.api.routes import AccountRoute
    from convoke.operations.accounts import AccountOperations
    from convoke.operations.conversation_finalizer import ConversationFinalizer
    from convoke.operations.event_publisher import EventPublisher
    from convoke.operations.events import EventOperations
    from convoke.operations.participant_adder import Admit, ParticipantAdder
    from convoke.operations.sweeper import Sweeper
    from convoke.operations.webhook_delivery import WebhookDelivery


class Edges(Protocol):
    """Everything outside the program: what an engine provides."""

    @property
    def table(self) -> Table: ...
    @property
    def auth_tokens(self) -> AuthTokens: ...
    @property
    def participant_queue(self) -> ParticipantQueue: ...
    @property
    def workflow(self) -> Workflow: ...
    @property
    def event_bus(self) -> EventBus: ...
    @property
    def delivery_queue(self) -> DeliveryQueue: ...
    @property
    def webhook_client(self) -> WebhookClient: ...
    @property
    def receiver_rules(self) -> ReceiverRules: ...
    @property
    def now(self) -> Clock: ...
    @property
    def sleep(self) -> Sleep: ...
    @property
    def new_sid(self) -> NewSid: ...
    @property
    def attempts(self) -> Attempts: ...
    @property
    def admit(self) -> Admit | None:
        """Who may be added to a conversation; None leaves it to the conversation's service."""

    @property
    def metrics(self) -> Metrics: ...


def accounts(edges: Edges) -> AccountOperations:
    from convoke.operations.accounts import AccountOperations
    from convoke.operations.api_keys import ApiKeyOperations
    from convoke.storage.accounts import AccountTable, CachedAccounts, CachedAuthTokens
    from convoke.storage.api_keys import ApiKeyTable, CachedApiKeys

    repository, tokens = CachedAccounts(AccountTable(edges.table)), CachedAuthTokens(edges.auth_tokens)
    api_keys = ApiKeyOperations(CachedApiKeys(ApiKeyTable(edges.table)), edges.now, edges.new_sid)
    return AccountOperations(repository, tokens, api_keys, edges.receiver_rules, edges.now, edges.new_sid)


def api(edges: Edges, routes_beside: Sequence[AccountRoute] = ()) -> Api:
    from convoke.api.app import Api
    from convoke.api.operations import Operations
    from convoke.operations.alerts import AlertOperations
    from convoke.operations.configuration_webhooks import (
        ServiceWebhookConfigurationOperations,
        WebhookConfigurationOperations,
    )
    from convoke.operations.conversation_with_participants import ConversationWithParticipantsOperations
    from convoke.operations.conversations import ConversationOperations
    from convoke.operations.messages import MessageOperations
    from convoke.operations.outbox import Outbox
    from convoke.operations.participant_conversations import ParticipantConversationOperations
    from convoke.operations.participants import ParticipantOperations
    from convoke.operations.pre_events import PreEvents
    from convoke.operations.provisioning import ProvisioningOperations
    from convoke.operations.receipts import ReceiptOperations
    from convoke.operations.scoped_webhooks import ScopedWebhookOperations
    from convoke.operations.services import ServiceOperations
    from convoke.operations.waiting import Waiting
    from convoke.storage.accounts import AccountTable, CachedAuthTokens
    from convoke.storage.alerts import AlertTable
    from convoke.storage.configuration_webhooks import (
        ServiceWebhookConfigurationTable,
        WebhookConfigurationTable,
        WebhookLevelsTable,
    )
    from convoke.storage.conversations import ConversationTable
    from convoke.storage.events import ChangeTable
    from convoke.storage.messages import MessageTable
    from convoke.storage.participant_conversations import ParticipantConversationTable
    from convoke.storage.participants import ParticipantTable
    from convoke.storage.provisioning import ProvisioningTable
    from convoke.storage.receipts import ReceiptTable
    from convoke.storage.scoped_webhooks import ScopedWebhookTable
    from convoke.storage.services import CachedServices, ServiceTable

    conversations = ConversationTable(edges.table)
    conversation_operations = ConversationOperations(
        conversations, ProvisioningTable(edges.table), ChangeTable(edges.table), edges.now, edges.new_sid
    )
    participants = ParticipantTable(edges.table)
    message_operations = MessageOperations(
        conversation_operations,
        participants,
        MessageTable(edges.table),
        Outbox(edges.new_sid),
        edges.now,
        edges.new_sid,
    )
    services = CachedServices(ServiceTable(edges.table))
    operations = Operations(
        accounts=accounts(edges),
        services=ServiceOperations(services, AccountTable(edges.table), conversations, edges.now, edges.new_sid),
        conversations=conversation_operations,
        participants=ParticipantOperations(conversation_operations, participants, edges.now, edges.new_sid),
        participant_conversations=ParticipantConversationOperations(ParticipantConversationTable(edges.table)),
        messages=message_operations,
        receipts=ReceiptOperations(message_operations, ReceiptTable(edges.table)),
        scoped_webhooks=ScopedWebhookOperations(
            conversation_operations, ScopedWebhookTable(edges.table), edges.receiver_rules, edges.now, edges.new_sid
        ),
        provisionings=ProvisioningOperations(conversation_operations),
        conversation_with_participants=ConversationWithParticipantsOperations(
            conversations, edges.participant_queue, edges.attempts, edges.now, edges.new_sid, edges.metrics
        ),
        webhook_configurations=WebhookConfigurationOperations(
            WebhookConfigurationTable(edges.table), edges.receiver_rules
        ),
        service_webhooks=ServiceWebhookConfigurationOperations(
            ServiceWebhookConfigurationTable(edges.table), edges.receiver_rules
        ),
        events=events(edges),
        alerts=AlertOperations(AlertTable(edges.table)),
        pre_events=PreEvents(
            WebhookLevelsTable(edges.table),
            AlertTable(edges.table),
            CachedAuthTokens(edges.auth_tokens),
            edges.webhook_client,
            edges.now,
            edges.new_sid,
        ),
        waiting=Waiting(conversations, edges.now, edges.sleep),
    )
    return Api(operations, routes_beside)


def events(edges: Edges) -> EventOperations:
    from convoke.operations.events import EventOperations
    from convoke.storage.events import AttemptTable, ChangeTable

    return EventOperations(ChangeTable(edges.table), AttemptTable(edges.table), webhook_delivery(edges), edges.new_sid)


def participant_adder(edges: Edges) -> ParticipantAdder:
    from convoke.operations.participant_adder import ParticipantAdder, ServiceAdmits
    from convoke.storage.provisioning import ProvisioningTable
    from convoke.storage.services import CachedServices, ServiceTable

    admit = edges.admit or ServiceAdmits(CachedServices(ServiceTable(edges.table)))
    return ParticipantAdder(ProvisioningTable(edges.table), edges.workflow, admit, edges.now)


def conversation_finalizer(edges: Edges) -> ConversationFinalizer:
    from convoke.operations.conversation_finalizer import ConversationFinalizer
    from convoke.storage.conversations import ConversationTable
    from convoke.storage.events import ChangeTable
    from convoke.storage.provisioning import ProvisioningTable

    table = edges.table
    return ConversationFinalizer(
        ConversationTable(table), ProvisioningTable(table), ChangeTable(table), edges.now, edges.metrics
    )


def event_publisher(edges: Edges) -> EventPublisher:
    from convoke.operations.event_publisher import EventPublisher

    return EventPublisher(edges.event_bus)


def webhook_delivery(edges: Edges) -> WebhookDelivery:
    from convoke.operations.message_replays import MessageReplay
    from convoke.operations.webhook_delivery import WebhookDelivery
    from convoke.storage.accounts import AccountTable, CachedAuthTokens
    from convoke.storage.alerts import AlertTable
    from convoke.storage.configuration_webhooks import WebhookLevelsTable
    from convoke.storage.conversations import ConversationTable
    from convoke.storage.events import AttemptTable
    from convoke.storage.messages import MessageTable
    from convoke.storage.scoped_webhooks import ScopedWebhookTable

    message_replay = MessageReplay(
        ConversationTable(edges.table), ScopedWebhookTable(edges.table), MessageTable(edges.table), edges.delivery_queue
    )
    return WebhookDelivery(
        WebhookLevelsTable(edges.table),
        AccountTable(edges.table),
        AttemptTable(edges.table),
        AlertTable(edges.table),
        CachedAuthTokens(edges.auth_tokens),
        message_replay,
        edges.delivery_queue,
        edges.webhook_client,
        edges.now,
        edges.metrics,
    )


def sweeper(edges: Edges, adder: ParticipantAdder) -> Sweeper:
    from convoke.operations.sweeper import Sweeper
    from convoke.storage.conversations import ConversationTable
    from convoke.storage.provisioning import ProvisioningTable

    conversations, provisionings = ConversationTable(edges.table), ProvisioningTable(edges.table)
    return Sweeper(conversations, provisionings, adder, edges.workflow, edges.attempts, edges.now, edges.new_sid)
