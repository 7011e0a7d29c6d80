"""Send the existing messages of a conversation to its new webhook. This process is a message replay.

See docs/behaviour/scoped-webhooks.md#replay-of-messages.
"""

from __future__ import annotations

from convoke.domain.events import Event
from convoke.domain.message_replays import message_replayed, replay_from, replay_span
from convoke.domain.pages import PageRequest
from convoke.domain.scoped_webhooks import ScopedWebhook
from convoke.domain.sids import greatest_sid_with_index
from convoke.domain.webhooks import Delivery
from convoke.lean_dataclass import lean_dataclass
from convoke.operations.ports import DeliveryQueue
from convoke.storage.conversations import ConversationRepository
from convoke.storage.messages import MessageRepository
from convoke.storage.scoped_webhooks import ScopedWebhookRepository

MESSAGES_PER_SEARCH = 10
"""How many messages one query reads to find the next message that contains a trigger of the webhook."""


@lean_dataclass
class MessageReplay:
    conversations: ConversationRepository
    webhooks: ScopedWebhookRepository
    messages: MessageRepository
    queue: DeliveryQueue

    def split(self, replay: Event) -> None:
        """Enqueue the delivery of the next message in a replay.

        `replay` is the event that starts or continues a message replay. The delivery contains the event that continues
        the replay, unless no messages are left. Convoke enqueues this event after the last attempt of the delivery.
        Therefore the webhook gets the messages in the order of their indexes.

        If the webhook has triggers, one call reads only MESSAGES_PER_SEARCH messages. If none of these messages
        contains a trigger, the method immediately enqueues the event that continues the replay.

        The method does nothing if the webhook or the conversation is deleted, or if the webhook no longer receives
        messages.
        """
        conversation_sid = replay.payload["ConversationSid"]
        conversation = self.conversations.fetch(replay.account_sid, conversation_sid)
        webhook = self._webhook(replay)
        if conversation is None or webhook is None or not webhook.receives_messages:
            return
        span = replay_span(replay)
        # A webhook with triggers gets only messages that contain a trigger, so read several messages to find
        # the next one. A webhook without triggers gets every message, so read only the next message.
        size = MESSAGES_PER_SEARCH if webhook.triggers else 1
        request = PageRequest(size, greatest_sid_with_index(span.first - 1) if span.first else None)
        page = self.messages.list(replay.account_sid, conversation_sid, request)
        for message in page.resources:
            event = message_replayed(replay, conversation, message)
            if message.index <= span.until and (hook := webhook.hook(event)):
                delivery = Delivery.to(hook, event)
                self.queue.send([delivery.model_copy(update={"followed_by": replay_from(replay, message.index + 1)})])
                return
        if page.has_next and (next_search := replay_from(replay, page.resources[-1].index + 1)):
            self.queue.send([next_search])

    def _webhook(self, replay: Event) -> ScopedWebhook | None:
        webhooks = self.webhooks.every(replay.account_sid, replay.payload["ConversationSid"])
        return next((webhook for webhook in webhooks if webhook.sid == replay.payload["WebhookSid"]), None)
