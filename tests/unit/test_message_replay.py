"""A replay sends the messages that are older than a webhook to this webhook, one after the other."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import pytest

from convoke.domain.events import Event
from convoke.domain.webhooks import Delivery
from convoke.operations.message_replays import MessageReplay
from convoke.storage.conversations import ConversationRepository
from convoke.storage.messages import MessageRepository
from convoke.storage.scoped_webhooks import ScopedWebhookRepository
from tests.support.instances import EmbeddedInstance, held_instance


@dataclass
class SentMessages:
    """A fake delivery queue that records the sent messages."""

    sent: list[Delivery | Event] = field(default_factory=list)

    def send(self, messages: Sequence[Delivery | Event]) -> None:
        self.sent.extend(messages)


def replay_of(instance: EmbeddedInstance, conversation: Any) -> Event:
    """Create a webhook with a replay of all messages. Return the event that starts the replay."""
    conversation.webhooks.create(
        target="webhook",
        configuration_url="https://hooks.example.com/",
        configuration_filters=["onMessageAdded"],
        configuration_replay_after=0,
    )
    events = [event for change in instance.changes() for event in change["events"]]
    (replay,) = [event for event in events if "Until" in event["payload"]]
    return Event.model_validate(replay)


@pytest.mark.parametrize(("before", "continued"), [(1, False), (2, True)])
def test_replay_continues_only_while_messages_from_before_the_webhook_are_left(before: int, continued: bool) -> None:
    """A replay sends only messages that are older than the webhook. Newer messages must not continue the replay."""
    with held_instance() as instance:
        v1 = instance.client().conversations.v1
        conversation = v1.conversations(v1.conversations.create().sid)
        for index in range(before):
            conversation.messages.create(body=f"Message {index}")
        replay = replay_of(instance, conversation)
        for index in range(2):
            conversation.messages.create(body=f"Later message {index}")
        queue, table = SentMessages(), instance.table
        MessageReplay(
            ConversationRepository(table), ScopedWebhookRepository(table), MessageRepository(table), queue
        ).split(replay)
        (delivery,) = queue.sent
        assert isinstance(delivery, Delivery)
        assert delivery.parameters["Index"] == "0"
        assert (delivery.followed_by is not None) == continued
