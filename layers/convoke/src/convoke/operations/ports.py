"""The outside ports of the operations: queues, workflow, event bus, HTTP client, channel sender.

An engine implements each of them. Operations use repositories directly, because a repository has one implementation.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Protocol

from convoke.domain.events import Event
from convoke.domain.messages import Message
from convoke.domain.participants import Member
from convoke.domain.provisioning import Cause, Provisioning
from convoke.domain.receipts import Receipt
from convoke.domain.webhooks import Delivery
from convoke.webhooks.answers import WebhookAnswer


class ParticipantQueue(Protocol):
    def send(self, provisioning: Provisioning) -> None:
        """Enqueue the participants of one conversation as one message."""


class Workflow(Protocol):
    """The finalizer's state machine: Finalize, Publish, Settle. Close replaces Finalize after a permanent failure."""

    def start(self, account_sid: str, conversation_sid: str, causes: Sequence[Cause]) -> None:
        """Start an execution. An execution with `causes` closes the conversation for these reasons."""


class EventBus(Protocol):
    def publish(self, events: Sequence[Event]) -> None:
        """Publish the events at least once. Raises if any event is not on the bus; the caller then repeats all."""


class DeliveryQueue(Protocol):
    def send(self, messages: Sequence[Delivery | Event]) -> None:
        """Enqueue each element as one message: a delivery to attempt, or an event to split into deliveries."""


class WebhookClient(Protocol):
    def call(self, delivery: Delivery, *, retry_count: int, auth_token: str, max_answer_bytes: int) -> WebhookAnswer:
        """Send one signed request and read at most `max_answer_bytes` bytes of the body.

        Raises WebhookUnreachableError if no answer arrives.
        """


class ChannelSender(Protocol):
    def send(self, message: Message, recipients: Sequence[Member], at: datetime) -> Sequence[Receipt]:
        """Accept one copy of the message for each recipient and return the receipts to store with the message.

        The caller may call this again for a message that it failed to store.
        """
