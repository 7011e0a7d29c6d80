"""The UserConversation resource: a User's conversation, with the User's read position and notification level.

See docs/behaviour/user-conversations.md.
"""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, ClassVar

from pydantic import BeforeValidator

from convoke.domain.conversations import Conversation
from convoke.domain.errors import (
    ConversationsError,
    InvalidLastReadMessageIndexError,
    UnknownNotificationLevelError,
)
from convoke.domain.instants import Instant
from convoke.domain.json_schema import IN_EITHER_CASE, pattern_schema, timestamp_schema, word_schema
from convoke.domain.messages import INDEX_PATTERN
from convoke.domain.model import Model
from convoke.domain.participant_requests import NULL, parse_index, parse_timestamp
from convoke.domain.participants import NotificationLevel, Participant

MAX_UNREAD_MESSAGES = 1000
"""The maximum value of `unread_messages_count`."""


def unread_messages(conversation: Conversation, participant: Participant) -> int | None:
    """Return the number of messages after the read position, or None if the participant has no read position.

    The number is at most MAX_UNREAD_MESSAGES. Deleted messages count too, because the number is a difference of
    indexes.
    """
    position = participant.last_read_message_index
    if position is None:
        return None
    return min(max(conversation.next_index - 1 - position, 0), MAX_UNREAD_MESSAGES)


def parse_level(text: str) -> NotificationLevel:
    try:
        return NotificationLevel(text.lower())
    except ValueError as error:
        raise UnknownNotificationLevelError from error


def empty_as_null(text: str) -> str:
    """Return `text`, or the word `null` if the text is empty. Both an empty text and `null` remove the stored value."""
    return text or NULL


CLEARING = "An empty value or the value null removes it."

ReadIndex = Annotated[
    int | None,
    BeforeValidator(lambda text: parse_index(empty_as_null(text))),
    pattern_schema(f"({INDEX_PATTERN}|{NULL})?", f"An integer. {CLEARING}"),
]
ReadTimestamp = Annotated[
    Instant | None, BeforeValidator(lambda text: parse_timestamp(empty_as_null(text))), timestamp_schema(CLEARING)
]
Level = Annotated[NotificationLevel, BeforeValidator(parse_level), word_schema(NotificationLevel, IN_EITHER_CASE)]


class UserConversationChange(Model):
    """The parameters of a request that updates a conversation of a User.

    An update changes the fields in `model_fields_set`, and `date_updated`. The value None removes the stored value of a
    field.
    """

    order_of_checks: ClassVar[tuple[type[ConversationsError], ...]] = (
        UnknownNotificationLevelError,
        InvalidLastReadMessageIndexError,
    )

    notification_level: Level = NotificationLevel.DEFAULT
    last_read_timestamp: ReadTimestamp = None
    last_read_message_index: ReadIndex = None

    def applied_to(self, participant: Participant, conversation: Conversation, moment: datetime) -> Participant:
        """Return the changed participant.

        If the read index is greater than the index of the last message ever created, the last index replaces the read
        index. If the conversation has never had a message, the read index becomes None.
        """
        update = self.model_dump(exclude_unset=True)
        if self.last_read_message_index is not None and self.last_read_message_index >= conversation.next_index:
            update["last_read_message_index"] = conversation.next_index - 1 if conversation.next_index else None
        return participant.model_copy(update={**update, "date_updated": max(moment, participant.date_updated)})
