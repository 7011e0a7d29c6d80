"""Build the parts of the program, and connect them with the objects that an engine provides (composition root).

Each Lambda process and each embedded engine has one `Program`, so that its parts share the same caches. A property of
`Program` imports the modules of its part at the first use. Therefore a process imports only the modules that it needs.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Protocol

from convoke.operations.request_webhooks import RequestWebhooks
from convoke.storage.auth_tokens import CachedAuthTokens

if TYPE_CHECKING:
    from convoke.api.app import Api
    from convoke.api.requests import Request
    from convoke.api.routes import Route
    from convoke.domain.access_tokens import ChatSession
    from convoke.domain.events import Origin
    from convoke.domain.instants import Clock, Sleep
    from convoke.domain.pre_events import PreEvent, Reply
    from convoke.domain.provisioning import ProvisioningRetries
    from convoke.domain.receivers import ReceiverRules
    from convoke.domain.senders import Provider
    from convoke.domain.sids import NewSid
    from convoke.observability import Metrics
    from convoke.operations.access_tokens import AccessTokenOperations
    from convoke.operations.account_configuration import AccountConfigurationOperations
    from convoke.operations.accounts import AccountOperations
    from convoke.operations.address_configurations import AddressConfigurationOperations
    from convoke.operations.alerts import AlertOperations
    from convoke.operations.bindings import BindingOperations
    from convoke.operations.carrier_messages import CarrierMessageOperations
    from convoke.operations.configuration import ConfigurationOperations
    from convoke.operations.configuration_webhooks import ConfigurationWebhooksOperations
    from convoke.operations.console_codes import ConsoleCodeOperations
    from convoke.operations.conversation_finalizer import ConversationFinalizer
    from convoke.operations.conversation_with_participants import ConversationWithParticipantsOperations
    from convoke.operations.conversations import ConversationOperations
    from convoke.operations.copy_statuses import CopyStatuses
    from convoke.operations.credentials import CredentialOperations
    from convoke.operations.events import EventOperations
    from convoke.operations.inbound_media import InboundMedia
    from convoke.operations.inbound_messages import InboundMessageOperations
    from convoke.operations.media import MediaOperations
    from convoke.operations.message_sender import MessageSender
    from convoke.operations.messages import MessageOperations
    from convoke.operations.participant_adder import Admit, ParticipantAdder
    from convoke.operations.participant_conversations import ParticipantConversationOperations
    from convoke.operations.participants import ParticipantOperations
    from convoke.operations.ports import (
        Carrier,
        CopyQueue,
        DeliveryQueue,
        EventBus,
        MediaClient,
        MediaStore,
        ParticipantQueue,
        Presence,
        WebhookClient,
        Workflow,
    )
    from convoke.operations.pre_events import PreEvents
    from convoke.operations.provisioning import ProvisioningOperations
    from convoke.operations.receipts import ReceiptOperations
    from convoke.operations.republisher import Republisher
    from convoke.operations.roles import RoleOperations
    from convoke.operations.scoped_webhooks import ScopedWebhookOperations
    from convoke.operations.senders import FindSender, SenderOperations
    from convoke.operations.service_configuration import ServiceConfigurationOperations
    from convoke.operations.service_configuration_notifications import ServiceConfigurationNotificationsOperations
    from convoke.operations.service_configuration_webhooks import ServiceConfigurationWebhooksOperations
    from convoke.operations.services import ServiceOperations
    from convoke.operations.signature_checks import SignatureCheckOperations
    from convoke.operations.simulator import SimulatorOperations
    from convoke.operations.sweeper import Sweeper
    from convoke.operations.twilio_webhooks import TwilioWebhookOperations
    from convoke.operations.user_conversations import UserConversationOperations
    from convoke.operations.users import UserOperations
    from convoke.operations.waiting import ConversationWaiter
    from convoke.operations.webhook_delivery import WebhookDelivery
    from convoke.storage.accounts import CachedAccounts
    from convoke.storage.api_key_masters import ApiKeyMasters
    from convoke.storage.api_keys import CachedApiKeys
    from convoke.storage.auth_tokens import AuthTokens
    from convoke.storage.first_sights import FirstSights
    from convoke.storage.sender_secrets import SenderSecrets
    from convoke.storage.services import CachedServices
    from convoke.storage.table import Table


class Edges(Protocol):
    """The edges of the program. An edge is an object that the engine provides to the program."""

    @property
    def table(self) -> Table: ...
    @property
    def auth_tokens(self) -> AuthTokens: ...
    @property
    def api_key_masters(self) -> ApiKeyMasters: ...
    @property
    def sender_secrets(self) -> SenderSecrets: ...
    @property
    def participant_queue(self) -> ParticipantQueue: ...
    @property
    def workflow(self) -> Workflow: ...
    @property
    def event_bus(self) -> EventBus: ...
    @property
    def delivery_queue(self) -> DeliveryQueue: ...
    @property
    def copy_queue(self) -> CopyQueue: ...
    @property
    def carriers(self) -> Mapping[Provider, Carrier]:
        """The carrier of each provider that the engine can use."""

    @property
    def simulates_phones(self) -> bool:
        """Whether the engine simulates phones for a business address that has no sender."""

    @property
    def webhook_client(self) -> WebhookClient: ...
    @property
    def presence(self) -> Presence: ...
    @property
    def receiver_rules(self) -> ReceiverRules: ...
    @property
    def media_store(self) -> MediaStore: ...
    @property
    def media_client(self) -> MediaClient: ...
    @property
    def max_upload_bytes(self) -> int:
        """The maximum size of a file that one request can upload."""

    @property
    def public_url(self) -> str | None:
        """The base URL of the API. If None, the headers of each request determine the base URL."""

    @property
    def allowed_origins(self) -> Sequence[str]: ...
    @property
    def console_poll_seconds(self) -> int | None:
        """How many seconds the console waits between two requests for new events. If None, there is no console."""

    @property
    def now(self) -> Clock: ...
    @property
    def sleep(self) -> Sleep: ...
    @property
    def new_sid(self) -> NewSid: ...
    @property
    def provisioning_retries(self) -> ProvisioningRetries: ...
    @property
    def admit(self) -> Admit | None:
        """A function that checks whether a participant may be added to a conversation.

        If None, every participant may be added.
        """

    @property
    def metrics(self) -> Metrics: ...
    @property
    def path_delimiters(self) -> str:
        """The characters that end a path in the gateway, even if a client percent-encodes them.

        New unique names and identities must not contain these characters. See
        docs/behaviour/requests-and-answers.md#names-on-aws.
        """


class Program:
    """The parts of the program, with their shared caches. Each property builds one part at the first use.

    `Program` implements the protocol `Operations`.

    The program caches accounts, Auth Tokens, API keys, services, senders and the existence of Users. Cached data can be
    some seconds old, and on AWS, an Auth Token can be about a minute old. The program also caches
    each version of the master secret of API keys, because a version never changes. For example, these lookups use a
    cache:

    - the lookups for authentication
    - the lookup of the service in a URL, or of the service that gets new participants
    - the lookup of the Auth Token that signs a webhook or a link to a media
    - the lookup of the Users of new participants
    - the lookup of the sender that is named in a request from Twilio
    """

    def __init__(self, edges: Edges, extra_routes: Sequence[Route] = ()) -> None:
        """`extra_routes` are routes that only one engine has, such as the routes of the clock."""
        self.edges = edges
        self._extra_routes = extra_routes

    @cached_property
    def auth_tokens(self) -> CachedAuthTokens:
        return CachedAuthTokens(self.edges.auth_tokens)

    @cached_property
    def known_accounts(self) -> CachedAccounts:
        from convoke.storage.accounts import AccountRepository, CachedAccounts

        return CachedAccounts(AccountRepository(self.edges.table))

    @cached_property
    def known_services(self) -> CachedServices:
        from convoke.storage.services import CachedServices, ServiceRepository

        return CachedServices(ServiceRepository(self.edges.table))

    @cached_property
    def known_api_keys(self) -> CachedApiKeys:
        from convoke.storage.api_keys import ApiKeyRepository, CachedApiKeys

        return CachedApiKeys(ApiKeyRepository(self.edges.table))

    @cached_property
    def first_sights(self) -> FirstSights:
        from convoke.storage.first_sights import FirstSights

        return FirstSights(self.edges.table)

    def clear_caches(self) -> None:
        """Remove the cached accounts, Auth Tokens, services, owners of API keys and Users.

        The cached senders and master secrets of API keys remain.
        """
        for cache in (
            self.auth_tokens.fetch,
            self.known_accounts.fetch,
            self.known_services.fetch,
            self.known_api_keys.fetch_owner,
            self.first_sights,
        ):
            cache.clear()

    @cached_property
    def accounts(self) -> AccountOperations:
        from convoke.operations.accounts import AccountOperations
        from convoke.operations.api_keys import ApiKeyOperations
        from convoke.storage.api_key_masters import KnownMasters

        edges = self.edges
        masters = KnownMasters(edges.api_key_masters)
        api_keys = ApiKeyOperations(self.known_api_keys, masters, edges.now, edges.new_sid)
        return AccountOperations(self.known_accounts, self.auth_tokens, api_keys, edges.now, edges.new_sid)

    @cached_property
    def api(self) -> Api:
        from convoke.api.app import Api
        from convoke.api.carriers import carrier_routes

        edges = self.edges
        return Api(
            self,
            (*carrier_routes(lambda: self.twilio_webhooks), *self._extra_routes),
            edges.allowed_origins,
            edges.path_delimiters,
            edges.public_url,
            edges.console_poll_seconds,
        )

    @cached_property
    def access_tokens(self) -> AccessTokenOperations:
        from convoke.operations.access_tokens import AccessTokenOperations

        return AccessTokenOperations(self.accounts, self.services, self.users)

    def authenticate_chat_user(self, token: str) -> ChatSession:
        return self.access_tokens.authenticate(token)

    def request_webhooks(self, request: Request) -> RequestWebhooks:
        return RequestWebhooks(self.send_pre_event, request.origin)

    def send_pre_event(self, pending: PreEvent, origin: Origin) -> Reply:
        # Use `pre_events` only here, because its first use imports the webhook client, which most requests do not need.
        return self.pre_events.send(pending, origin)

    @cached_property
    def configuration(self) -> ConfigurationOperations:
        from convoke.operations.configuration import ConfigurationOperations

        return ConfigurationOperations(self.known_accounts)

    @cached_property
    def account_configuration(self) -> AccountConfigurationOperations:
        from convoke.operations.account_configuration import AccountConfigurationOperations

        return AccountConfigurationOperations(self.known_accounts, self.edges.receiver_rules)

    @cached_property
    def services(self) -> ServiceOperations:
        from convoke.operations.services import ServiceOperations
        from convoke.storage.accounts import AccountRepository

        edges = self.edges
        return ServiceOperations(self.known_services, AccountRepository(edges.table), edges.now, edges.new_sid)

    @cached_property
    def service_configuration(self) -> ServiceConfigurationOperations:
        from convoke.operations.service_configuration import ServiceConfigurationOperations
        from convoke.storage.roles import RoleRepository

        return ServiceConfigurationOperations(self.services, self.known_services, RoleRepository(self.edges.table))

    @cached_property
    def service_configuration_webhooks(self) -> ServiceConfigurationWebhooksOperations:
        from convoke.operations.service_configuration_webhooks import ServiceConfigurationWebhooksOperations
        from convoke.storage.service_configuration_webhooks import ServiceConfigurationWebhooksRepository

        edges = self.edges
        return ServiceConfigurationWebhooksOperations(
            ServiceConfigurationWebhooksRepository(edges.table), edges.receiver_rules
        )

    @cached_property
    def service_configuration_notifications(self) -> ServiceConfigurationNotificationsOperations:
        from convoke.operations.service_configuration_notifications import ServiceConfigurationNotificationsOperations
        from convoke.storage.service_configuration_notifications import ServiceConfigurationNotificationsRepository

        return ServiceConfigurationNotificationsOperations(
            ServiceConfigurationNotificationsRepository(self.edges.table)
        )

    @cached_property
    def configuration_webhooks(self) -> ConfigurationWebhooksOperations:
        from convoke.operations.configuration_webhooks import ConfigurationWebhooksOperations
        from convoke.storage.configuration_webhooks import ConfigurationWebhooksRepository

        edges = self.edges
        return ConfigurationWebhooksOperations(ConfigurationWebhooksRepository(edges.table), edges.receiver_rules)

    @cached_property
    def conversations(self) -> ConversationOperations:
        from convoke.operations.conversations import ConversationOperations
        from convoke.storage.conversations import ConversationRepository
        from convoke.storage.events import EventRepository
        from convoke.storage.provisioning import ProvisioningRepository

        edges, table = self.edges, self.edges.table
        return ConversationOperations(
            ConversationRepository(table),
            ProvisioningRepository(table),
            EventRepository(table),
            edges.now,
            edges.new_sid,
        )

    @cached_property
    def participants(self) -> ParticipantOperations:
        from convoke.operations.participants import ParticipantOperations
        from convoke.storage.participants import ParticipantRepository
        from convoke.storage.roles import RoleRepository

        edges, table = self.edges, self.edges.table
        return ParticipantOperations(
            self.conversations,
            ParticipantRepository(table, self.first_sights),
            RoleRepository(table),
            edges.now,
            edges.new_sid,
        )

    @cached_property
    def participant_conversations(self) -> ParticipantConversationOperations:
        from convoke.operations.participant_conversations import ParticipantConversationOperations
        from convoke.storage.participant_conversations import ParticipantConversationRepository

        return ParticipantConversationOperations(ParticipantConversationRepository(self.edges.table))

    @cached_property
    def messages(self) -> MessageOperations:
        from convoke.operations.messages import MessageOperations
        from convoke.storage.media import MediaRepository
        from convoke.storage.messages import MessageRepository
        from convoke.storage.participants import ParticipantRepository

        edges, table = self.edges, self.edges.table
        return MessageOperations(
            self.conversations,
            ParticipantRepository(table, self.first_sights),
            MessageRepository(table),
            MediaRepository(table),
            edges.now,
            edges.new_sid,
        )

    @cached_property
    def receipts(self) -> ReceiptOperations:
        from convoke.operations.receipts import ReceiptOperations
        from convoke.storage.receipts import ReceiptRepository

        return ReceiptOperations(self.messages, ReceiptRepository(self.edges.table))

    @cached_property
    def scoped_webhooks(self) -> ScopedWebhookOperations:
        from convoke.operations.scoped_webhooks import ScopedWebhookOperations
        from convoke.storage.scoped_webhooks import ScopedWebhookRepository

        edges = self.edges
        return ScopedWebhookOperations(
            self.conversations, ScopedWebhookRepository(edges.table), edges.receiver_rules, edges.now, edges.new_sid
        )

    @cached_property
    def roles(self) -> RoleOperations:
        from convoke.operations.roles import RoleOperations
        from convoke.storage.roles import RoleRepository

        edges = self.edges
        return RoleOperations(RoleRepository(edges.table), self.known_services.stored, edges.now, edges.new_sid)

    @cached_property
    def users(self) -> UserOperations:
        from convoke.operations.users import UserOperations
        from convoke.storage.roles import RoleRepository
        from convoke.storage.users import UserRepository

        edges, table = self.edges, self.edges.table
        return UserOperations(
            UserRepository(table), self.first_sights, RoleRepository(table), edges.presence, edges.now, edges.new_sid
        )

    @cached_property
    def user_conversations(self) -> UserConversationOperations:
        from convoke.operations.user_conversations import UserConversationOperations
        from convoke.storage.participant_conversations import ParticipantConversationRepository

        return UserConversationOperations(
            self.users, self.conversations, self.participants, ParticipantConversationRepository(self.edges.table)
        )

    @cached_property
    def provisionings(self) -> ProvisioningOperations:
        from convoke.operations.provisioning import ProvisioningOperations

        return ProvisioningOperations(self.conversations)

    @cached_property
    def conversation_with_participants(self) -> ConversationWithParticipantsOperations:
        from convoke.operations.conversation_with_participants import ConversationWithParticipantsOperations
        from convoke.storage.conversations import ConversationRepository
        from convoke.storage.roles import RoleRepository

        edges, table = self.edges, self.edges.table
        return ConversationWithParticipantsOperations(
            ConversationRepository(table),
            RoleRepository(table),
            edges.participant_queue,
            edges.provisioning_retries,
            edges.now,
            edges.new_sid,
            edges.metrics,
        )

    @cached_property
    def address_configurations(self) -> AddressConfigurationOperations:
        from convoke.operations.address_configurations import AddressConfigurationOperations
        from convoke.storage.address_configurations import AddressConfigurationRepository

        edges = self.edges
        return AddressConfigurationOperations(
            AddressConfigurationRepository(edges.table),
            self.known_services,
            edges.receiver_rules,
            edges.now,
            edges.new_sid,
        )

    @cached_property
    def bindings(self) -> BindingOperations:
        from convoke.operations.bindings import BindingOperations
        from convoke.storage.bindings import BindingRepository

        return BindingOperations(BindingRepository(self.edges.table))

    @cached_property
    def credentials(self) -> CredentialOperations:
        from convoke.operations.credentials import CredentialOperations
        from convoke.storage.credentials import CredentialRepository

        edges = self.edges
        return CredentialOperations(CredentialRepository(edges.table), edges.now, edges.new_sid)

    @cached_property
    def alerts(self) -> AlertOperations:
        from convoke.operations.alerts import AlertOperations
        from convoke.storage.alerts import AlertRepository

        return AlertOperations(AlertRepository(self.edges.table))

    @cached_property
    def signature_checks(self) -> SignatureCheckOperations:
        from convoke.operations.signature_checks import SignatureCheckOperations

        return SignatureCheckOperations(self.accounts)

    @cached_property
    def conversation_waiter(self) -> ConversationWaiter:
        from convoke.operations.waiting import ConversationWaiter
        from convoke.storage.conversations import ConversationRepository

        edges = self.edges
        return ConversationWaiter(ConversationRepository(edges.table), edges.now, edges.sleep)

    @cached_property
    def media(self) -> MediaOperations:
        from convoke.operations.media import MediaOperations
        from convoke.storage.media import MediaRepository
        from convoke.storage.participants import ParticipantRepository

        edges = self.edges
        return MediaOperations(
            MediaRepository(edges.table),
            ParticipantRepository(edges.table, self.first_sights),
            edges.media_store,
            self.accounts,
            edges.max_upload_bytes,
            edges.now,
            edges.new_sid,
        )

    @cached_property
    def inbound_media(self) -> InboundMedia:
        from convoke.operations.inbound_media import InboundMedia

        return InboundMedia(self.media, self.edges.media_client)

    @cached_property
    def events(self) -> EventOperations:
        from convoke.operations.events import EventOperations
        from convoke.storage.event_attempts import EventAttemptRepository
        from convoke.storage.events import EventRepository

        table = self.edges.table
        return EventOperations(
            EventRepository(table),
            EventAttemptRepository(table),
            self.webhook_delivery,
            self.edges.new_sid,
            self.auth_tokens,
        )

    @cached_property
    def senders(self) -> SenderOperations:
        from convoke.operations.senders import SenderOperations
        from convoke.storage.senders import SenderRepository

        edges = self.edges
        repository = SenderRepository(edges.table)
        return SenderOperations(repository, edges.sender_secrets, edges.simulates_phones, edges.now, edges.new_sid)

    @cached_property
    def find_sender(self) -> FindSender:
        from convoke.operations.senders import FindSender
        from convoke.storage.senders import SenderRepository

        return FindSender(SenderRepository(self.edges.table), self.edges.now, self.edges.simulates_phones)

    @cached_property
    def pre_events(self) -> PreEvents:
        from convoke.operations.pre_events import PreEvents
        from convoke.storage.alerts import AlertRepository
        from convoke.storage.webhook_levels import WebhookLevelsRepository

        edges, table = self.edges, self.edges.table
        return PreEvents(
            WebhookLevelsRepository(table),
            AlertRepository(table),
            self.auth_tokens,
            edges.webhook_client,
            edges.now,
            edges.new_sid,
        )

    @cached_property
    def inbound_messages(self) -> InboundMessageOperations:
        from convoke.operations.inbound_messages import InboundMessageOperations
        from convoke.storage.address_configurations import AddressConfigurationRepository
        from convoke.storage.conversations import ConversationRepository
        from convoke.storage.inbound_messages import InboundMessageRepository

        edges, table = self.edges, self.edges.table
        return InboundMessageOperations(
            InboundMessageRepository(table),
            ConversationRepository(table),
            self.messages,
            AddressConfigurationRepository(table),
            self.known_services,
            self.send_pre_event,
            lambda: self.inbound_media,
            edges.now,
            edges.new_sid,
        )

    @cached_property
    def copy_statuses(self) -> CopyStatuses:
        from convoke.operations.copy_statuses import CopyStatuses
        from convoke.storage.copies import CopyRepository

        edges = self.edges
        return CopyStatuses(CopyRepository(edges.table), edges.now, edges.new_sid)

    @cached_property
    def message_sender(self) -> MessageSender:
        from convoke.operations.media_links import MediaLinks
        from convoke.operations.message_sender import MessageSender
        from convoke.storage.copies import CopyRepository
        from convoke.storage.media import MediaRepository
        from convoke.storage.sending_limits import SendingLimits

        edges = self.edges
        return MessageSender(
            CopyRepository(edges.table),
            self.copy_statuses,
            edges.copy_queue,
            self.find_sender,
            SendingLimits(edges.table),
            edges.carriers,
            edges.sender_secrets,
            MediaLinks(MediaRepository(edges.table), edges.media_store, lambda: self.media, edges.public_url),
            edges.now,
        )

    @cached_property
    def carrier_messages(self) -> CarrierMessageOperations:
        from convoke.operations.carrier_messages import CarrierMessageOperations

        return CarrierMessageOperations(self.known_accounts, self.inbound_messages)

    @cached_property
    def twilio_webhooks(self) -> TwilioWebhookOperations:
        from convoke.operations.twilio_webhooks import TwilioWebhookOperations
        from convoke.storage.cached import CachedWithMisses
        from convoke.storage.senders import SenderRepository

        find_sender = CachedWithMisses(SenderRepository(self.edges.table).fetch_by_sid)
        return TwilioWebhookOperations(
            find_sender, self.edges.sender_secrets, self.carrier_messages, self.copy_statuses
        )

    @cached_property
    def simulator(self) -> SimulatorOperations:
        from convoke.operations.simulator import SimulatorOperations
        from convoke.storage.address_configurations import AddressConfigurationRepository
        from convoke.storage.phones import OptOutRepository, PhoneRepository
        from convoke.storage.senders import SenderRepository

        edges = self.edges
        return SimulatorOperations(
            SenderRepository(edges.table),
            AddressConfigurationRepository(edges.table),
            PhoneRepository(edges.table),
            OptOutRepository(edges.table),
            self.inbound_messages,
            self.copy_statuses,
            edges.now,
            edges.new_sid,
        )

    @cached_property
    def console_codes(self) -> ConsoleCodeOperations:
        from convoke.operations.console_codes import ConsoleCodeOperations
        from convoke.storage.console_codes import ConsoleCodeRepository

        return ConsoleCodeOperations(ConsoleCodeRepository(self.edges.table), self.accounts.api_keys)

    @cached_property
    def republisher(self) -> Republisher:
        from convoke.operations.republisher import Republisher
        from convoke.storage.event_attempts import EventAttemptRepository
        from convoke.storage.events import EventRepository

        table = self.edges.table
        return Republisher(EventRepository(table), EventAttemptRepository(table), self.edges.event_bus)

    @cached_property
    def participant_adder(self) -> ParticipantAdder:
        from convoke.operations.participant_adder import ParticipantAdder
        from convoke.storage.provisioning import ProvisioningRepository

        edges = self.edges
        return ParticipantAdder(
            ProvisioningRepository(edges.table),
            edges.workflow,
            edges.admit,
            self.known_services.fetch,
            self.first_sights,
            edges.now,
        )

    @cached_property
    def conversation_finalizer(self) -> ConversationFinalizer:
        from convoke.operations.conversation_finalizer import ConversationFinalizer
        from convoke.storage.conversations import ConversationRepository
        from convoke.storage.events import EventRepository
        from convoke.storage.provisioning import ProvisioningRepository

        edges, table = self.edges, self.edges.table
        return ConversationFinalizer(
            ConversationRepository(table),
            ProvisioningRepository(table),
            EventRepository(table),
            edges.now,
            edges.metrics,
        )

    @cached_property
    def webhook_delivery(self) -> WebhookDelivery:
        from convoke.operations.message_replays import MessageReplay
        from convoke.operations.webhook_delivery import WebhookDelivery
        from convoke.storage.accounts import AccountRepository
        from convoke.storage.alerts import AlertRepository
        from convoke.storage.conversations import ConversationRepository
        from convoke.storage.event_attempts import EventAttemptRepository
        from convoke.storage.messages import MessageRepository
        from convoke.storage.scoped_webhooks import ScopedWebhookRepository
        from convoke.storage.webhook_levels import WebhookLevelsRepository

        edges, table = self.edges, self.edges.table
        message_replay = MessageReplay(
            ConversationRepository(table),
            ScopedWebhookRepository(table),
            MessageRepository(table),
            edges.delivery_queue,
        )
        return WebhookDelivery(
            WebhookLevelsRepository(table),
            AccountRepository(table),
            EventAttemptRepository(table),
            AlertRepository(table),
            self.auth_tokens,
            message_replay,
            edges.delivery_queue,
            edges.webhook_client,
            edges.now,
            edges.metrics,
        )

    @cached_property
    def sweeper(self) -> Sweeper:
        from convoke.operations.due_conversations import DueConversations
        from convoke.operations.due_media import DueMedia
        from convoke.operations.due_services import DueServices
        from convoke.operations.due_users import DueUsers
        from convoke.operations.sweeper import Process, Sweeper
        from convoke.storage import keys
        from convoke.storage.alerts import AlertRepository
        from convoke.storage.conversations import ConversationRepository
        from convoke.storage.deleted_services import DeletedServiceRepository
        from convoke.storage.due import DueRepository
        from convoke.storage.media import MediaRepository
        from convoke.storage.participant_conversations import ParticipantConversationRepository
        from convoke.storage.provisioning import ProvisioningRepository
        from convoke.storage.users import UserRepository

        edges, table = self.edges, self.edges.table
        alerts = AlertRepository(table)
        due_conversations = DueConversations(
            ConversationRepository(table),
            ProvisioningRepository(table),
            alerts,
            self.participant_adder,
            edges.workflow,
            edges.provisioning_retries,
            edges.now,
            edges.new_sid,
        )
        due_users = DueUsers(
            UserRepository(table),
            ParticipantConversationRepository(table),
            self.participants,
            self.known_services.fetch,
            alerts,
            edges.provisioning_retries,
            edges.now,
            edges.new_sid,
        )
        due_services = DueServices(
            DeletedServiceRepository(table), self.conversations, alerts, edges.provisioning_retries, edges.now
        )
        processes: dict[str, Process] = {
            keys.CONVERSATION: due_conversations,
            keys.USER: due_users,
            keys.DELETED_SERVICE: due_services,
            keys.MEDIA: DueMedia(MediaRepository(table), edges.media_store, edges.now),
        }
        return Sweeper(DueRepository(table), processes, alerts, edges.provisioning_retries, edges.now)
