"""The message replay: a new webhook of a conversation gets the messages that were there before it.

See docs/behaviour/scoped-webhooks.md#replay-of-messages.
"""

from __future__ import annotations

from typing import NamedTuple

from convoke.domain.conversations import Conversation
from convoke.domain.events import Change, Event, message_added, messages_replayed
from convoke.domain.messages import Message
from convoke.domain.scoped_webhooks import ScopedWebhook


class Span(NamedTuple):
    """The messages of a replay that the webhook has not got yet."""

    after: int
    """The messages have a greater index than this."""
    until: int
    """The index of the last message; later ones were added after the webhook."""


def requested_replay(sid: str, conversation: Conversation, webhook: ScopedWebhook) -> Change | None:
    """Return the change that starts the replay to a new webhook; None if there are no messages to replay."""
    after = webhook.replay_after
    if after is None or after >= conversation.next_index - 1 or not webhook.receives_messages:
        return None
    return messages_replayed(sid, conversation, webhook.sid, after, at=webhook.date_created)


def replay_span(replay: Event) -> Span:
    """Return the messages that a replay event asks for."""
    return Span(int(replay.payload["After"]), int(replay.payload["Until"]))


def replay_from(replay: Event, after: int) -> Event:
    """Return the replay event for the messages after the index `after`."""
    return replay.model_copy(update={"payload": {**replay.payload, "After": str(after)}})


def message_replayed(replay: Event, conversation: Conversation, message: Message) -> Event:
    """Return the event that replays one message as it is now.

    Its id follows from the replay and the index, so that a repeated replay creates no second event.
    `notify_webhooks` is False because only the new webhook gets the event.
    """
    sid, _, _ = replay.id.partition("-")
    change = message_added(sid, conversation, conversation, message, (), at=replay.occurred_at, notify_webhooks=False)
    return change.events[0].model_copy(update={"id": f"{sid}-{1 + message.index}"})
