"""What a new webhook of a conversation is told of the messages that were there before it (reference, d.7)."""

from __future__ import annotations

from typing import NamedTuple

from convoke.domain.conversations import Conversation
from convoke.domain.events import Change, Event, message_added, messages_replayed
from convoke.domain.messages import Message
from convoke.domain.scoped_webhooks import ScopedWebhook


class Span(NamedTuple):
    """The messages of a replay that are still to be told."""

    after: int
    """Only those with a greater index."""
    until: int
    """The index of the last one that was there when the webhook was created."""


def requested_replay(sid: str, conversation: Conversation, webhook: ScopedWebhook) -> Change | None:
    """None where a webhook that is created now has nothing to be told."""
    after = webhook.replay_after
    if after is None or after >= conversation.next_index - 1 or not webhook.receives_messages:
        return None
    return messages_replayed(sid, conversation, webhook.sid, after, at=webhook.date_created)


def replay_span(replay: Event) -> Span:
    return Span(int(replay.payload["After"]), int(replay.payload["Until"]))


def replay_from(replay: Event, after: int) -> Event:
    """The same event, for what is left behind the index `after`."""
    return replay.model_copy(update={"payload": {**replay.payload, "After": str(after)}})


def message_replayed(replay: Event, conversation: Conversation, message: Message) -> Event:
    """The message as it is now, under an id that follows from the replay and the index, however often it is made.

    It is for the one webhook, so whoever splits it tells nobody.
    """
    sid, _, _ = replay.id.partition("-")
    change = message_added(sid, conversation, conversation, message, (), at=replay.occurred_at, notify_webhooks=False)
    return change.events[0].model_copy(update={"id": f"{sid}-{1 + message.index}"})
