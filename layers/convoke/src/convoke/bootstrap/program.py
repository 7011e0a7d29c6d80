"""The composition root: what the edges provide goes in, the whole program comes out.

Both engines are put together here; they differ only in the `Edges` they bring.
"""

from __future__ import annotations

from dataclasses import dataclass

from convoke.api.app import Api
from convoke.api.operations import Operations
from convoke.domain.instants import Clock
from convoke.domain.provisioning import Attempts
from convoke.domain.sids import NewSid
from convoke.operations.accounts import AccountOperations
from convoke.operations.configuration_webhooks import WebhookConfigurationOperations
from convoke.operations.conversation_finalizer import ConversationFinalizer
from convoke.operations.conversation_with_participants import ConversationWithParticipantsOperations
from convoke.operations.conversations import ConversationOperations
from convoke.operations.event_publisher import EventPublisher
from convoke.operations.participant_adder import Admit, ParticipantAdder, ServiceAdmits
from convoke.operations.participants import ParticipantOperations
from convoke.operations.ports import AuthTokens, DeliveryQueue, EventBus, ParticipantQueue, WebhookClient, Workflow
from convoke.operations.services import ServiceOperations
from convoke.operations.sweeper import Sweeper
from convoke.operations.webhook_delivery import WebhookDelivery
from convoke.storage.accounts import AccountTable, CachedAccounts, CachedAuthTokens
from convoke.storage.changes import AttemptTable, ChangeTable
from convoke.storage.conversations import ConversationTable
from convoke.storage.participants import ParticipantTable
from convoke.storage.provisionings import ProvisioningTable
from convoke.storage.services import CachedServices, ServiceTable
from convoke.storage.table import Table
from convoke.storage.webhook_configurations import WebhookConfigurationTable


@dataclass(frozen=True, slots=True)
class Edges:
    """Everything outside the program: what an engine provides."""

    table: Table
    auth_tokens: AuthTokens
    participant_queue: ParticipantQueue
    workflow: Workflow
    event_bus: EventBus
    delivery_queue: DeliveryQueue
    webhook_client: WebhookClient
    now: Clock
    new_sid: NewSid
    attempts: Attempts
    admit: Admit | None = None
    """Who may be added to a conversation; None leaves it to the conversation's service."""


def accounts(edges: Edges) -> AccountOperations:
    repository, tokens = CachedAccounts(AccountTable(edges.table)), CachedAuthTokens(edges.auth_tokens)
    return AccountOperations(repository, tokens, edges.now, edges.new_sid)


def api(edges: Edges) -> Api:
    conversations = ConversationTable(edges.table)
    conversation_operations = ConversationOperations(conversations)
    operations = Operations(
        accounts=accounts(edges),
        services=ServiceOperations(CachedServices(ServiceTable(edges.table)), edges.now, edges.new_sid),
        conversations=conversation_operations,
        participants=ParticipantOperations(conversation_operations, ParticipantTable(edges.table)),
        conversation_with_participants=ConversationWithParticipantsOperations(
            conversations, edges.participant_queue, edges.attempts, edges.now, edges.new_sid
        ),
        webhook_configurations=WebhookConfigurationOperations(WebhookConfigurationTable(edges.table)),
    )
    return Api(operations)


def participant_adder(edges: Edges) -> ParticipantAdder:
    admit = edges.admit or ServiceAdmits(CachedServices(ServiceTable(edges.table)))
    return ParticipantAdder(ProvisioningTable(edges.table), edges.workflow, admit, edges.now)


def conversation_finalizer(edges: Edges) -> ConversationFinalizer:
    table = edges.table
    return ConversationFinalizer(ConversationTable(table), ProvisioningTable(table), ChangeTable(table), edges.now)


def event_publisher(edges: Edges) -> EventPublisher:
    return EventPublisher(edges.event_bus)


def webhook_delivery(edges: Edges) -> WebhookDelivery:
    return WebhookDelivery(
        WebhookConfigurationTable(edges.table),
        AttemptTable(edges.table),
        CachedAuthTokens(edges.auth_tokens),
        edges.delivery_queue,
        edges.webhook_client,
        edges.now,
    )


def sweeper(edges: Edges, adder: ParticipantAdder) -> Sweeper:
    conversations, provisionings = ConversationTable(edges.table), ProvisioningTable(edges.table)
    return Sweeper(conversations, provisionings, adder, edges.workflow, edges.attempts, edges.now)
