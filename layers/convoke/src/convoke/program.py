"""Build the parts of the program, and connect them with the edges of an engine (composition root).

Each process has one `Program`, so that all parts share the same caches. A property of `Program` imports the modules of
its part at the first use. On AWS, the cold start of a Lambda function therefore does not import the modules of other
functions.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Protocol

from convoke.domain.instants import Clock, Sleep
from convoke.domain.provisioning import ProvisioningRetries
from convoke.domain.receivers import ReceiverRules
from convoke.domain.senders import Provider
from convoke.domain.sids import NewSid
from convoke.observability import Metrics
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
from convoke.storage.auth_tokens import AuthTokens, CachedAuthTokens
from convoke.storage.sender_secrets import SenderSecrets
from convoke.storage.table import Table

if TYPE_CHECKING:
    from convoke.api.app import Api
    from convoke.api.operations import Operations
    from convoke.api.routes import ExtraRoute
    from convoke.operations.access_tokens import AccessTokenOperations
    from convoke.operations.accounts import AccountOperations
    from convoke.operations.carrier_messages import CarrierMessageOperations
    from convoke.operations.console_codes import ConsoleCodeOperations
    from convoke.operations.conversation_finalizer import ConversationFinalizer
    from convoke.operations.copy_statuses import CopyStatuses
    from convoke.operations.events import EventOperations
    from convoke.operations.inbound_media import InboundMedia
    from convoke.operations.inbound_messages import InboundMessageOperations
    from convoke.operations.media import MediaOperations
    from convoke.operations.message_sender import MessageSender
    from convoke.operations.participant_adder import Admit, ParticipantAdder
    from convoke.operations.pre_events import PreEvents
    from convoke.operations.republisher import Republisher
    from convoke.operations.senders import FindSender, SenderOperations
    from convoke.operations.simulator import SimulatorOperations
    from convoke.operations.sweeper import Sweeper
    from convoke.operations.twilio_webhooks import TwilioWebhookOperations
    from convoke.operations.webhook_delivery import WebhookDelivery
    from convoke.storage.accounts import CachedAccounts
    from convoke.storage.api_key_masters import ApiKeyMasters
    from convoke.storage.api_keys import CachedApiKeys
    from convoke.storage.first_sights import FirstSights
    from convoke.storage.services import CachedServices


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
        """The function that checks whether a participant may be added to a conversation.

        If None, the program uses `AdmitByService`.
        """

    @property
    def metrics(self) -> Metrics: ...
    @property
    def path_delimiters(self) -> str:
        """The characters that end a path in the gateway, even if a client percent-encodes them.

        New unique names and identities must not contain such a character. See
        docs/behaviour/requests-and-answers.md#names-on-aws.
        """


class Program:
    """The parts of the program, with their shared caches. Each property builds one part at the first use.

    The program caches accounts, Auth Tokens, API keys, services, senders and the existence of Users. Cached data can be
    some seconds old. Only these lookups use a cache:
    - The lookups for authentication.
    - The lookup of the service in a URL, or of the service that gets new participants.
    - The lookup of the Auth Token that signs a webhook.
    - The lookup of the Users of new participants.
    - The lookup of the sender to which a request from Twilio belongs.
    """

    def __init__(self, edges: Edges, extra_routes: Sequence[ExtraRoute] = ()) -> None:
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
            self.operations,
            (*carrier_routes(lambda: self.twilio_webhooks), *self._extra_routes),
            edges.allowed_origins,
            edges.path_delimiters,
            edges.public_url,
            edges.console_poll_seconds,
        )

    @cached_property
    def access_tokens(self) -> AccessTokenOperations:
        from convoke.operations.access_tokens import AccessTokenOperations

        return AccessTokenOperations(self.accounts, self.operations.services, self.operations.users)

    @cached_property
    def operations(self) -> Operations:
        from convoke.api.operations import Operations
        from convoke.operations.account_configuration import AccountConfigurationOperations
        from convoke.operations.address_configurations import AddressConfigurationOperations
        from convoke.operations.alerts import AlertOperations
        from convoke.operations.bindings import BindingOperations
        from convoke.operations.configuration import ConfigurationOperations
        from convoke.operations.configuration_webhooks import ConfigurationWebhooksOperations
        from convoke.operations.conversation_with_participants import ConversationWithParticipantsOperations
        from convoke.operations.conversations import ConversationOperations
        from convoke.operations.credentials import CredentialOperations
        from convoke.operations.messages import MessageOperations
        from convoke.operations.participant_conversations import ParticipantConversationOperations
        from convoke.operations.participants import ParticipantOperations
        from convoke.operations.provisioning import ProvisioningOperations
        from convoke.operations.receipts import ReceiptOperations
        from convoke.operations.roles import RoleOperations
        from convoke.operations.scoped_webhooks import ScopedWebhookOperations
        from convoke.operations.service_configuration import ServiceConfigurationOperations
        from convoke.operations.service_configuration_notifications import ServiceConfigurationNotificationsOperations
        from convoke.operations.service_configuration_webhooks import ServiceConfigurationWebhooksOperations
        from convoke.operations.services import ServiceOperations
        from convoke.operations.signature_checks import SignatureCheckOperations
        from convoke.operations.user_conversations import UserConversationOperations
        from convoke.operations.users import UserOperations
        from convoke.operations.waiting import ConversationWaiter
        from convoke.storage.accounts import AccountRepository
        from convoke.storage.address_configurations import AddressConfigurationRepository
        from convoke.storage.alerts import AlertRepository
        from convoke.storage.bindings import BindingRepository
        from convoke.storage.configuration_webhooks import ConfigurationWebhooksRepository
        from convoke.storage.conversations import ConversationRepository
        from convoke.storage.credentials import CredentialRepository
        from convoke.storage.events import EventRepository
        from convoke.storage.media import MediaRepository
        from convoke.storage.messages import MessageRepository
        from convoke.storage.participant_conversations import ParticipantConversationRepository
        from convoke.storage.participants import ParticipantRepository
        from convoke.storage.provisioning import ProvisioningRepository
        from convoke.storage.receipts import ReceiptRepository
        from convoke.storage.roles import RoleRepository
        from convoke.storage.scoped_webhooks import ScopedWebhookRepository
        from convoke.storage.service_configuration_notifications import ServiceConfigurationNotificationsRepository
        from convoke.storage.service_configuration_webhooks import ServiceConfigurationWebhooksRepository
        from convoke.storage.users import UserRepository

        edges, table, now, new_sid = self.edges, self.edges.table, self.edges.now, self.edges.new_sid
        conversations = ConversationRepository(table)
        conversation_operations = ConversationOperations(
            conversations, ProvisioningRepository(table), EventRepository(table), now, new_sid
        )
        roles = RoleRepository(table)
        participants = ParticipantRepository(table, self.first_sights)
        message_operations = MessageOperations(
            conversation_operations, participants, MessageRepository(table), MediaRepository(table), now, new_sid
        )
        participant_operations = ParticipantOperations(conversation_operations, participants, roles, now, new_sid)
        memberships = ParticipantConversationRepository(table)
        users = UserOperations(UserRepository(table), self.first_sights, roles, edges.presence, now, new_sid)
        services = ServiceOperations(self.known_services, AccountRepository(table), now, new_sid)
        return Operations(
            accounts=self.accounts,
            configuration=ConfigurationOperations(self.known_accounts),
            account_configuration=AccountConfigurationOperations(self.known_accounts, edges.receiver_rules),
            services=services,
            service_configuration=ServiceConfigurationOperations(services, self.known_services, roles),
            conversations=conversation_operations,
            participants=participant_operations,
            participant_conversations=ParticipantConversationOperations(memberships),
            messages=message_operations,
            media=self.media,
            receipts=ReceiptOperations(message_operations, ReceiptRepository(table)),
            scoped_webhooks=ScopedWebhookOperations(
                conversation_operations, ScopedWebhookRepository(table), edges.receiver_rules, now, new_sid
            ),
            roles=RoleOperations(roles, self.known_services.stored, now, new_sid),
            users=users,
            user_conversations=UserConversationOperations(
                users, conversation_operations, participant_operations, memberships
            ),
            provisionings=ProvisioningOperations(conversation_operations),
            conversation_with_participants=ConversationWithParticipantsOperations(
                conversations, roles, edges.participant_queue, edges.provisioning_retries, now, new_sid, edges.metrics
            ),
            configuration_webhooks=ConfigurationWebhooksOperations(
                ConfigurationWebhooksRepository(table), edges.receiver_rules
            ),
            service_configuration_webhooks=ServiceConfigurationWebhooksOperations(
                ServiceConfigurationWebhooksRepository(table), edges.receiver_rules
            ),
            service_configuration_notifications=ServiceConfigurationNotificationsOperations(
                ServiceConfigurationNotificationsRepository(table)
            ),
            address_configurations=AddressConfigurationOperations(
                AddressConfigurationRepository(table), self.known_services, edges.receiver_rules, now, new_sid
            ),
            bindings=BindingOperations(BindingRepository(table)),
            credentials=CredentialOperations(CredentialRepository(table), now, new_sid),
            events=self.events,
            alerts=AlertOperations(AlertRepository(table)),
            senders=self.senders,
            signature_checks=SignatureCheckOperations(self.accounts),
            pre_events=self.pre_events,
            authenticate_chat_user=lambda token: self.access_tokens.authenticate(token),
            conversation_waiter=ConversationWaiter(conversations, now, edges.sleep),
        )

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
        from convoke.operations.conversations import ConversationOperations
        from convoke.operations.inbound_messages import InboundMessageOperations
        from convoke.operations.messages import MessageOperations
        from convoke.storage.address_configurations import AddressConfigurationRepository
        from convoke.storage.conversations import ConversationRepository
        from convoke.storage.events import EventRepository
        from convoke.storage.inbound_messages import InboundMessageRepository
        from convoke.storage.media import MediaRepository
        from convoke.storage.messages import MessageRepository
        from convoke.storage.participants import ParticipantRepository
        from convoke.storage.provisioning import ProvisioningRepository

        table, now, new_sid = self.edges.table, self.edges.now, self.edges.new_sid
        conversations = ConversationRepository(table)
        messages = MessageOperations(
            ConversationOperations(conversations, ProvisioningRepository(table), EventRepository(table), now, new_sid),
            ParticipantRepository(table, self.first_sights),
            MessageRepository(table),
            MediaRepository(table),
            now,
            new_sid,
        )
        return InboundMessageOperations(
            InboundMessageRepository(table),
            conversations,
            messages,
            AddressConfigurationRepository(table),
            self.known_services,
            self.pre_events,
            lambda: self.inbound_media,
            now,
            new_sid,
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
        from convoke.operations.participant_adder import AdmitByService, ParticipantAdder
        from convoke.storage.provisioning import ProvisioningRepository

        edges = self.edges
        admit = edges.admit or AdmitByService(self.known_services.fetch)
        return ParticipantAdder(
            ProvisioningRepository(edges.table),
            edges.workflow,
            admit,
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
        from convoke.operations.conversations import ConversationOperations
        from convoke.operations.due_conversations import DueConversations
        from convoke.operations.due_media import DueMedia
        from convoke.operations.due_services import DueServices
        from convoke.operations.due_users import DueUsers
        from convoke.operations.participants import ParticipantOperations
        from convoke.operations.sweeper import Process, Sweeper
        from convoke.storage import keys
        from convoke.storage.alerts import AlertRepository
        from convoke.storage.conversations import ConversationRepository
        from convoke.storage.deleted_services import DeletedServiceRepository
        from convoke.storage.due import DueRepository
        from convoke.storage.events import EventRepository
        from convoke.storage.media import MediaRepository
        from convoke.storage.participant_conversations import ParticipantConversationRepository
        from convoke.storage.participants import ParticipantRepository
        from convoke.storage.provisioning import ProvisioningRepository
        from convoke.storage.roles import RoleRepository
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
        conversations = ConversationOperations(
            ConversationRepository(table),
            ProvisioningRepository(table),
            EventRepository(table),
            edges.now,
            edges.new_sid,
        )
        due_users = DueUsers(
            UserRepository(table),
            ParticipantConversationRepository(table),
            ParticipantOperations(
                conversations,
                ParticipantRepository(table, self.first_sights),
                RoleRepository(table),
                edges.now,
                edges.new_sid,
            ),
            self.known_services.fetch,
            alerts,
            edges.provisioning_retries,
            edges.now,
            edges.new_sid,
        )
        due_services = DueServices(
            DeletedServiceRepository(table), conversations, alerts, edges.provisioning_retries, edges.now
        )
        processes: dict[str, Process] = {
            keys.CONVERSATION: due_conversations,
            keys.USER: due_users,
            keys.DELETED_SERVICE: due_services,
            keys.MEDIA: DueMedia(MediaRepository(table), edges.media_store, edges.now),
        }
        return Sweeper(DueRepository(table), processes, alerts, edges.provisioning_retries, edges.now)
