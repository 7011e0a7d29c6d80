"""Give the handlers access to the operations of every resource."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from convoke.api.requests import Request
from convoke.domain.events import Origin
from convoke.operations.account_configuration import AccountConfigurationOperations
from convoke.operations.accounts import AccountOperations
from convoke.operations.address_configurations import AddressConfigurationOperations
from convoke.operations.alerts import AlertOperations
from convoke.operations.bindings import BindingOperations
from convoke.operations.configuration import ConfigurationOperations
from convoke.operations.configuration_webhooks import ConfigurationWebhooksOperations
from convoke.operations.conversation_with_participants import ConversationWithParticipantsOperations
from convoke.operations.conversations import ConversationOperations
from convoke.operations.credentials import CredentialOperations
from convoke.operations.events import EventOperations
from convoke.operations.media import MediaOperations
from convoke.operations.messages import MessageOperations
from convoke.operations.participant_conversations import ParticipantConversationOperations
from convoke.operations.participants import ParticipantOperations
from convoke.operations.pre_events import PreEvents, RequestWebhooks
from convoke.operations.provisioning import ProvisioningOperations
from convoke.operations.receipts import ReceiptOperations
from convoke.operations.roles import RoleOperations
from convoke.operations.scoped_webhooks import ScopedWebhookOperations
from convoke.operations.senders import SenderOperations
from convoke.operations.service_configuration import ServiceConfigurationOperations
from convoke.operations.service_configuration_notifications import ServiceConfigurationNotificationsOperations
from convoke.operations.service_configuration_webhooks import ServiceConfigurationWebhooksOperations
from convoke.operations.services import ServiceOperations
from convoke.operations.signature_checks import SignatureCheckOperations
from convoke.operations.user_conversations import UserConversationOperations
from convoke.operations.users import UserOperations
from convoke.operations.waiting import ConversationWaiter

if TYPE_CHECKING:
    from convoke.domain.access_tokens import ChatSession


@dataclass(frozen=True, slots=True, kw_only=True)
class Operations:
    """The operations of every resource. `program.py` creates this object."""

    accounts: AccountOperations
    configuration: ConfigurationOperations
    account_configuration: AccountConfigurationOperations
    services: ServiceOperations
    service_configuration: ServiceConfigurationOperations
    conversations: ConversationOperations
    participants: ParticipantOperations
    participant_conversations: ParticipantConversationOperations
    messages: MessageOperations
    media: MediaOperations
    receipts: ReceiptOperations
    scoped_webhooks: ScopedWebhookOperations
    roles: RoleOperations
    users: UserOperations
    user_conversations: UserConversationOperations
    provisionings: ProvisioningOperations
    conversation_with_participants: ConversationWithParticipantsOperations
    configuration_webhooks: ConfigurationWebhooksOperations
    service_configuration_webhooks: ServiceConfigurationWebhooksOperations
    service_configuration_notifications: ServiceConfigurationNotificationsOperations
    address_configurations: AddressConfigurationOperations
    bindings: BindingOperations
    credentials: CredentialOperations
    senders: SenderOperations
    pre_events: PreEvents
    events: EventOperations
    alerts: AlertOperations
    signature_checks: SignatureCheckOperations
    authenticate_chat_user: Callable[[str], ChatSession]
    """Verifies an access token. The function is `AccessTokenOperations.authenticate`.

    Its module is imported at the first call.
    """
    conversation_waiter: ConversationWaiter

    def request_webhooks(self, request: Request) -> RequestWebhooks:
        """Return the object that sends the pre-event of a request.

        If the request does not enable webhooks, this object sends nothing. See
        docs/behaviour/webhook-delivery.md#what-triggers-webhooks.
        """
        return self.pre_events.for_request(Origin(notify_webhooks=request.notify_webhooks))
