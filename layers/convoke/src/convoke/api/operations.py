"""Define the interface through which the handlers reach the operations."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    # At run time, the handlers get these objects from the program. Imports at run time would import the operations of
    # every resource.
    from convoke.api.requests import Request
    from convoke.domain.access_tokens import ChatSession
    from convoke.domain.events import Origin
    from convoke.domain.pre_events import PreEvent, Reply
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
    from convoke.operations.provisioning import ProvisioningOperations
    from convoke.operations.receipts import ReceiptOperations
    from convoke.operations.request_webhooks import RequestWebhooks
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


class Operations(Protocol):
    """The operations of the resources that both engines have. `Program` implements this protocol."""

    @property
    def accounts(self) -> AccountOperations: ...
    @property
    def configuration(self) -> ConfigurationOperations: ...
    @property
    def account_configuration(self) -> AccountConfigurationOperations: ...
    @property
    def services(self) -> ServiceOperations: ...
    @property
    def service_configuration(self) -> ServiceConfigurationOperations: ...
    @property
    def conversations(self) -> ConversationOperations: ...
    @property
    def participants(self) -> ParticipantOperations: ...
    @property
    def participant_conversations(self) -> ParticipantConversationOperations: ...
    @property
    def messages(self) -> MessageOperations: ...
    @property
    def media(self) -> MediaOperations: ...
    @property
    def receipts(self) -> ReceiptOperations: ...
    @property
    def scoped_webhooks(self) -> ScopedWebhookOperations: ...
    @property
    def roles(self) -> RoleOperations: ...
    @property
    def users(self) -> UserOperations: ...
    @property
    def user_conversations(self) -> UserConversationOperations: ...
    @property
    def provisionings(self) -> ProvisioningOperations: ...
    @property
    def conversation_with_participants(self) -> ConversationWithParticipantsOperations: ...
    @property
    def configuration_webhooks(self) -> ConfigurationWebhooksOperations: ...
    @property
    def service_configuration_webhooks(self) -> ServiceConfigurationWebhooksOperations: ...
    @property
    def service_configuration_notifications(self) -> ServiceConfigurationNotificationsOperations: ...
    @property
    def address_configurations(self) -> AddressConfigurationOperations: ...
    @property
    def bindings(self) -> BindingOperations: ...
    @property
    def credentials(self) -> CredentialOperations: ...
    @property
    def senders(self) -> SenderOperations: ...
    @property
    def events(self) -> EventOperations: ...
    @property
    def alerts(self) -> AlertOperations: ...
    @property
    def signature_checks(self) -> SignatureCheckOperations: ...
    @property
    def conversation_waiter(self) -> ConversationWaiter: ...

    def authenticate_chat_user(self, token: str) -> ChatSession:
        """Return the chat session that the access token `token` permits. See `AccessTokenOperations.authenticate`."""

    def send_pre_event(self, pending: PreEvent, origin: Origin) -> Reply:
        """Send a pre-event and return the receiver's reply. See `PreEvents.send`."""

    def request_webhooks(self, request: Request) -> RequestWebhooks:
        """Return the object that sends the pre-event of a request.

        If the request does not enable webhooks, this object sends nothing. See
        docs/behaviour/webhook-delivery.md#what-triggers-webhooks.
        """
