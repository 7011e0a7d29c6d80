"""What the operations need of the outside, each port as small as its user."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from datetime import datetime
from typing import ClassVar, NamedTuple, Protocol

from convoke.domain.accounts import Account, AccountChange
from convoke.domain.alerts import Alert, AlertFilters
from convoke.domain.api_keys import ApiKey, ApiKeyOwner
from convoke.domain.conversation_filters import ConversationFilters
from convoke.domain.conversations import Conversation
from convoke.domain.errors import LogEntry, WebhookFailedError, WebhookTimeoutError
from convoke.domain.events import Change, Event, EventFilters
from convoke.domain.idempotency import IdempotencyRecord
from convoke.domain.messages import Message
from convoke.domain.pages import Page, PageRequest
from convoke.domain.participant_conversations import ParticipantConversation
from convoke.domain.participants import KnownBy, Participant
from convoke.domain.provisioning import Cause, Provisioning
from convoke.domain.receipts import Receipt
from convoke.domain.scoped_webhooks import ScopedWebhook
from convoke.domain.services import Service, ServiceChange
from convoke.domain.webhooks import (
    Attempt,
    Delivery,
    ServiceWebhookConfiguration,
    WebhookConfiguration,
    WebhookConfigurationChange,
    WebhookLevels,
    WebhookSettingsChange,
)


class AccountRepository(Protocol):
    def fetch(self, account_sid: str) -> Account | None: ...

    def list(self) -> list[Account]:
        """Every account of the deployment, oldest first."""

    def create(self, account: Account, service: Service) -> bool:
        """Store a new account with its default service; False where its SID is taken."""

    def update(self, account_sid: str, change: AccountChange) -> Account:
        """Change what was given of an account that exists, and leave the rest, whatever else is changed meanwhile.

        Raises InvalidParameterError for a default service that is not there.
        """


class AuthTokens(Protocol):
    """The Auth Tokens, in plain text: they sign webhooks."""

    def fetch(self, account_sid: str) -> str | None: ...

    def put(self, account_sid: str, token: str) -> None: ...


class ApiKeyRepository(Protocol):
    def create(self, key: ApiKey, owner: ApiKeyOwner) -> None: ...

    def fetch_owner(self, key_sid: str) -> ApiKeyOwner | None: ...

    def list(self, account_sid: str) -> Iterator[ApiKey]:
        """Every key of the account, oldest first, read page by page as the iteration goes on."""

    def delete(self, account_sid: str, key_sid: str) -> None:
        """May be said again."""


class ServiceRepository(Protocol):
    def create(self, service: Service) -> None: ...

    def fetch(self, account_sid: str, chat_service_sid: str) -> Service | None: ...

    def list(self, account_sid: str, page: PageRequest) -> Page[Service]: ...

    def update(self, account_sid: str, chat_service_sid: str, change: ServiceChange) -> Service | None:
        """Change what was given, at the least one thing; None where the service is not there any more."""

    def delete(self, account_sid: str, chat_service_sid: str, default_service_sid: str) -> bool:
        """Remove it with its webhooks; False where it is gone, or the account's default service is another one."""


class WebhookConfigurationRepository(Protocol):
    def fetch(self, account_sid: str) -> WebhookConfiguration: ...

    def update(self, account_sid: str, change: WebhookConfigurationChange) -> WebhookConfiguration:
        """Change what was given and leave the rest, whatever else is changed meanwhile."""


class ServiceWebhookConfigurationRepository(Protocol):
    def fetch(self, account_sid: str, chat_service_sid: str) -> ServiceWebhookConfiguration: ...

    def update(
        self, account_sid: str, chat_service_sid: str, change: WebhookSettingsChange
    ) -> ServiceWebhookConfiguration:
        """The same as of an account. Raises NotFoundError where the service is not there any more."""


class WebhookLevelsRepository(Protocol):
    def fetch(self, account_sid: str, chat_service_sid: str) -> WebhookLevels:
        """Both levels in one read."""

    def fetch_with_scoped(
        self, account_sid: str, chat_service_sid: str, conversation_sid: str
    ) -> tuple[WebhookLevels, Sequence[ScopedWebhook]]:
        """The webhooks of a conversation with them, also of one that was deleted not long ago."""


class ConversationRepository(Protocol):
    def create(
        self,
        conversation: Conversation,
        change: Change,
        provisioning: Provisioning | None,
        record: IdempotencyRecord | None = None,
    ) -> Conversation:
        """Store all of it with every lock, or nothing. Answers what was created.

        Where `record` stands already, that is what the same request created before, as it was then; another one
        raises IdempotencyKeyReusedError. Raises UniqueNameTakenError, BindingsTakenError or GroupExistsError for the
        lock that another conversation holds.
        """

    def fetch(self, account_sid: str, conversation_sid: str) -> Conversation | None:
        """None too where it is deleted."""

    def list(
        self, account_sid: str, chat_service_sid: str, filters: ConversationFilters, page: PageRequest
    ) -> Page[Conversation]:
        """Those of a service by their date of creation, deleted ones left out."""

    def sid_of(self, account_sid: str, chat_service_sid: str, unique_name: str) -> str | None: ...

    def update(self, before: Conversation, after: Conversation, change: Change) -> None:
        """Store what has changed of it, and take and release the locks that follow from it, or nothing of all that.

        Raises ChangedMeanwhileError where it is not what was read any more, or UniqueNameTakenError.
        """

    def delete(
        self, before: Conversation, removed: Conversation, change: Change, provisioning: Provisioning | None
    ) -> None:
        """Make a tombstone of it, and release every lock. Raises ChangedMeanwhileError.

        `provisioning` goes with it, and says whether its locks were released before.
        """

    def erase(self, account_sid: str, conversation_sid: str, go_on: Callable[[], bool]) -> None:
        """Remove what is left of one that is deleted, page by page while `go_on` says so, and itself last."""

    def claim(self, conversation: Conversation, due_at: datetime) -> bool:
        """Count an attempt and put off the next one to `due_at`; False where somebody else did so first."""

    def settle(self, account_sid: str, conversation_sid: str) -> None:
        """Nothing is left to publish; from now on it is due for its timers, if any run. May be said again."""

    def put_off(self, before: Conversation, after: Conversation) -> None:
        """Store when it is due. Raises ChangedMeanwhileError where it is not what was read any more."""

    def due(self, until: datetime) -> Iterator[tuple[str, str]]:
        """Account and conversation SIDs of what is due by `until`, read page by page as the iteration goes on."""


class ProvisioningRepository(Protocol):
    def fetch(self, account_sid: str, conversation_sid: str) -> tuple[Conversation, Provisioning | None] | None:
        """A conversation, deleted or not, and the record of the participants it was made with, read together."""

    def add(self, provisioning: Provisioning, change: Change) -> bool:
        """Store every member at once; False where that has been done before, or the conversation has failed."""

    def finalize(self, conversation: Conversation, change: Change) -> bool:
        """Store the state of a conversation that leaves `initializing`; False where it has left already."""

    def close(self, conversation: Conversation, provisioning: Provisioning, change: Change, alert: Alert) -> bool:
        """The same for one that failed, with every lock released and the alert logged; False where it has left."""


class ParticipantRepository(Protocol):
    def fetch(self, account_sid: str, conversation_sid: str, participant_sid: str) -> Participant | None: ...

    def every(self, account_sid: str, conversation_sid: str) -> Sequence[Participant]:
        """All members, the oldest first."""

    def sid_of(self, account_sid: str, conversation_sid: str, identity: str) -> str | None: ...

    def list(self, account_sid: str, conversation_sid: str, page: PageRequest) -> Page[Participant]: ...

    # Each of the following stores what has changed of the conversation, too, and takes and releases the locks that
    # follow from it, or nothing of all that. Each raises ChangedMeanwhileError where the conversation is not what was
    # read any more, or ParticipantExistsError, BindingTakenError or GroupExistsError for a lock that is held.

    def create(self, before: Conversation, after: Conversation, participant: Participant, change: Change) -> None: ...

    def update(
        self, before: Conversation, after: Conversation, was: Participant, becomes: Participant, change: Change
    ) -> None: ...

    def delete(self, before: Conversation, after: Conversation, participant: Participant, change: Change) -> None: ...


class ParticipantConversationRepository(Protocol):
    def list(
        self, account_sid: str, chat_service_sid: str, known_by: KnownBy, page: PageRequest
    ) -> Page[ParticipantConversation]:
        """What somebody is a member of in a service, by the moment of the member's making."""


class MessageRepository(Protocol):
    """Stores each change and its events in one transaction.

    Raises ChangedMeanwhileError if the conversation has changed since it was read.
    """

    def create(
        self,
        before: Conversation,
        after: Conversation,
        message: Message,
        receipts: Sequence[Receipt],
        change: Change,
    ) -> None: ...

    def fetch(self, account_sid: str, conversation_sid: str, message_sid: str) -> Message | None: ...

    def list(self, account_sid: str, conversation_sid: str, page: PageRequest) -> Page[Message]:
        """By index."""

    def update(self, conversation: Conversation, edited: Message, change: Change) -> None: ...

    def delete(self, conversation: Conversation, message: Message, change: Change) -> None:
        """With its receipts."""


class ScopedWebhookRepository(Protocol):
    def every(self, account_sid: str, conversation_sid: str) -> Sequence[ScopedWebhook]:
        """All those of a conversation, by their SIDs."""

    def replace(
        self, conversation: Conversation, webhooks: Sequence[ScopedWebhook], change: Change | None = None
    ) -> None:
        """Store these in the place of those there were.

        Raises ChangedMeanwhileError where the conversation is not what was read any more, or was not before them.
        """


class ReceiptRepository(Protocol):
    def fetch(self, message: Message, receipt_sid: str) -> Receipt | None: ...

    def list(self, message: Message, page: PageRequest) -> Page[Receipt]: ...


class ChannelSender(Protocol):
    def send(self, message: Message, recipients: Sequence[Participant], at: datetime) -> Sequence[Receipt]:
        """Accept a message for delivery, and return one receipt per recipient.

        The caller stores the receipts with the message. If storing fails, it calls this method again.
        """


class ChangeRepository(Protocol):
    def fetch(self, account_sid: str, change_sid: str) -> Change | None: ...

    def list(self, account_sid: str, filters: EventFilters, page: PageRequest) -> Page[Event]:
        """The events of an account by their dates, those of a change beside each other."""


class AttemptRepository(Protocol):
    def put(self, delivery: Delivery, attempt: Attempt) -> None:
        """Record an attempt, in the place of the record with the same number."""

    def list(self, event: Event, page: PageRequest) -> Page[Attempt]: ...


class AlertRepository(Protocol):
    def create(self, alert: Alert) -> None:
        """With the event that announces it. May be said again: only the first time counts."""

    def fetch(self, account_sid: str, alert_sid: str) -> Alert | None: ...

    def list(self, account_sid: str, filters: AlertFilters, page: PageRequest) -> Page[Alert]:
        """By their dates."""


class ParticipantQueue(Protocol):
    def send(self, provisioning: Provisioning) -> None: ...


class Workflow(Protocol):
    """The finalizer's state machine: Finalize, Publish, Settle; Close where finalizing fails for good."""

    def start(self, account_sid: str, conversation_sid: str, causes: Sequence[Cause]) -> None:
        """Begin an execution; with `causes` the conversation is to be closed for them."""


class EventBus(Protocol):
    def publish(self, events: Sequence[Event]) -> None:
        """Put events on the bus. Raises where not all of them are on it; they may then come twice."""


class DeliveryQueue(Protocol):
    def send(self, messages: Sequence[Delivery | Event]) -> None:
        """Each is one message: a delivery to be attempted, an event to be split."""


class WebhookAnswer(NamedTuple):
    status: int
    body: bytes
    """No more than was asked for."""


class WebhookClient(Protocol):
    def call(self, delivery: Delivery, *, retry_count: int, auth_token: str, longest_answer: int) -> WebhookAnswer:
        """Make one signed request; of the answer's body, read so many bytes. Raises WebhookUnreachableError."""


class ChangedMeanwhileError(Exception):
    """The conversation was changed by another request since it was read."""


class WebhookUnreachableError(Exception):
    """No answer came: no connection, or not within the time limit. The text says which, and no more."""

    entry: ClassVar[type[LogEntry]] = WebhookFailedError
    """What the error log calls it."""


class WebhookLateError(WebhookUnreachableError):
    """It did not come within the time limit."""

    entry = WebhookTimeoutError
