"""The message replay: a new webhook of a conversation gets the messages that the conversation already has.

See docs/behaviour/scoped-webhooks.md#replay-of-messages.
"""

from __future__ import annotations

from typing import NamedTuple

from convoke.domain.conversations import Conversation
from convoke.domain.events import Change, Event, Origin, message_added, messages_replayed
from convoke.domain.messages import Message
from convoke.domain.scoped_webhooks import ScopedWebhook


class Span(NamedTuple):
    """The range of messages that a replay must still send to the webhook."""

    first: int
    """The index at which the range starts. Possibly the message with this index no longer exists."""
    until: int
    """The index of the last message before the creation of the webhook."""


def requested_replay(sid: str, conversation: Conversation, webhook: ScopedWebhook) -> Change | None:
    """Return the change that starts the replay for a new webhook. Return None if the webhook needs no replay.

    `sid` is the SID of the change.
    """
    first = webhook.replay_after
    if first is None or first >= conversation.next_index or not webhook.receives_messages:
        return None
    return messages_replayed(sid, conversation, webhook.sid, first, at=webhook.date_created)


def replay_span(replay: Event) -> Span:
    """Return the range of messages that a replay event requests."""
    return Span(int(replay.payload["From"]), int(replay.payload["Until"]))


def replay_from(replay: Event, first: int) -> Event | None:
    """Return a copy of the replay event whose range starts at the index `first`. Return None if this range is empty."""
    if first > replay_span(replay).until:
        return None
    return replay.model_copy(update={"payload": {**replay.payload, "From": str(first)}})


def message_replayed(replay: Event, conversation: Conversation, message: Message) -> Event:
    """Return the event `onMessageAdded` that the replay sends for one message, with the message's current content.

    `Event.id` consists of the replay's change SID and the message index plus 1. Therefore a repeated replay sends the
    event with the same id. `notify_webhooks` is False, so that no webhook except the new one gets the event.
    """
    sid, _, _ = replay.id.partition("-")
    change = message_added(
        sid, conversation, conversation, message, at=replay.occurred_at, origin=Origin(notify_webhooks=False)
    )
    return change.events[0].model_copy(update={"id": f"{sid}-{1 + message.index}"})
