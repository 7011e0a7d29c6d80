"""Message replay: send the earlier messages of a conversation to a new webhook.

See docs/behaviour/scoped-webhooks.md#replay-of-messages.
"""

from __future__ import annotations

from dataclasses import dataclass

from convoke.domain.events import Event
from convoke.domain.message_replays import message_replayed, replay_from, replay_span
from convoke.domain.pages import PageRequest
from convoke.domain.scoped_webhooks import ScopedWebhook
from convoke.domain.sids import greatest_sid_with_index
from convoke.domain.webhooks import Delivery
from convoke.operations.ports import DeliveryQueue
from convoke.storage.conversations import ConversationRepository
from convoke.storage.messages import MessageRepository
from convoke.storage.scoped_webhooks import ScopedWebhookRepository

MESSAGES_PER_BATCH = 9
"""The number of conversation messages in one batch of a replay.

One call to the delivery queue takes at most ten entries: nine messages and the event that continues the replay.
"""


@dataclass(frozen=True, slots=True)
class MessageReplay:
    conversations: ConversationRepository
    webhooks: ScopedWebhookRepository
    messages: MessageRepository
    queue: DeliveryQueue

    def split(self, replay: Event) -> None:
        """Send the next batch of messages to the webhook, and enqueue the event that continues the replay.

        Does nothing if the webhook or the conversation is deleted.
        """
        conversation_sid = replay.payload["ConversationSid"]
        conversation = self.conversations.fetch(replay.account_sid, conversation_sid)
        webhook = self._webhook(replay)
        if conversation is None or webhook is None:
            return
        span = replay_span(replay)
        request = PageRequest(MESSAGES_PER_BATCH, greatest_sid_with_index(span.after))
        page = self.messages.list(replay.account_sid, conversation_sid, request)
        events = [
            message_replayed(replay, conversation, message) for message in page.resources if message.index <= span.until
        ]
        sent: list[Delivery | Event] = [Delivery.to(hook, event) for event in events if (hook := webhook.hook(event))]
        if page.has_next and page.resources[-1].index < span.until:
            sent.append(replay_from(replay, page.resources[-1].index))
        if sent:
            self.queue.send(sent)

    def _webhook(self, replay: Event) -> ScopedWebhook | None:
        webhooks = self.webhooks.every(replay.account_sid, replay.payload["ConversationSid"])
        return next((webhook for webhook in webhooks if webhook.sid == replay.payload["WebhookSid"]), None)
