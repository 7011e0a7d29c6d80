"""The Message resource, and the rules of its parameters.

See docs/behaviour/messages.md.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from datetime import datetime
from operator import not_
from typing import Annotated, ClassVar, Self

from pydantic import AfterValidator, BeforeValidator, Field, model_validator

from convoke.domain.attributes import check_attributes
from convoke.domain.content import ContentSid, ContentVariables
from convoke.domain.dates import DateCreated, DateUpdated
from convoke.domain.errors import (
    AttributesNotJsonError,
    AttributesTooLongError,
    AuthorNotInGroupError,
    AuthorTooLongError,
    ContentSidMissingError,
    ContentVariableKeyTooLongError,
    ContentVariablesNotJsonError,
    ContentVariablesTooLongError,
    ContentVariableTooLongError,
    ConversationsError,
    InvalidContentSidError,
    InvalidDateCreatedError,
    InvalidDateUpdatedError,
    InvalidMediaSidError,
    InvalidParameterError,
    MediaMessageBodyFixedError,
    MediaSidMissingError,
    MessageEmptyError,
    MessageTooLongError,
    TooManyContentVariablesError,
)
from convoke.domain.event_ids import to_event_id
from convoke.domain.instants import Instant
from convoke.domain.json_schema import IN_EITHER_CASE, attributes_schema, sid_schema, string_schema, word_schema
from convoke.domain.media import MessageMedia
from convoke.domain.model import Model
from convoke.domain.pages import Order
from convoke.domain.participants import Member
from convoke.domain.receipts import COUNTED, DeliverySummary, counter_of
from convoke.domain.sids import Prefix, parse_sid

SYSTEM = "system"
"""The author of a message if a REST request has no author. Also the creator of a resource if no chat user is known."""

MAX_AUTHOR_CHARACTERS = 256
MAX_SUBJECT_CHARACTERS = 256

MAX_MESSAGE_ATTRIBUTES_BYTES = 4 * 1024
MAX_BODY_BYTES = 32 * 1024

MAX_BODY_OUTSIDE_CHAT_CHARACTERS = 1600
"""The maximum number of characters in a body if a participant of the conversation has an address."""

MAX_INDEX_DIGITS = 18
"""The maximum number of digits for an index in a request. DynamoDB and SQLite store numbers of this length exactly."""

INDEX_PATTERN = f"[0-9]{{1,{MAX_INDEX_DIGITS}}}"


class Message(Model):
    """A stored message.

    In a REST response, the summary `delivery` replaces the fields `copies_...`. The fields `content_variables`,
    `subject` and `last_updated_by`, and the event ids, are not in REST responses.
    """

    account_sid: str
    conversation_sid: str
    sid: str
    index: int
    author: str
    body: str | None = None
    media: tuple[MessageMedia, ...] = Field(default=(), exclude_if=not_)
    content_sid: str | None = None
    content_variables: str | None = None
    subject: str | None = None
    attributes: str = "{}"
    participant_sid: str | None = None
    copies_pending: int = Field(default=0, exclude_if=not_)
    """The number of copies with the status `queued` or `sending`. Each other counter is for one status."""
    copies_sent: int = Field(default=0, exclude_if=not_)
    copies_undelivered: int = Field(default=0, exclude_if=not_)
    copies_failed: int = Field(default=0, exclude_if=not_)
    copies_delivered: int = Field(default=0, exclude_if=not_)
    copies_read: int = Field(default=0, exclude_if=not_)
    date_created: Instant
    date_updated: Instant
    last_updated_by: str | None = None
    """The identity of the chat user who changed the message last, or `system`. None if nobody changed the message."""
    event_id: int | None = None
    """The event id of the last change. If None, the event id is derived from `date_updated`.

    Event ids are numbers that order the changes for chat clients. See event_ids.py.
    """
    created_event_id: int | None = None
    """The event id of the creation of the message. None if the message was never changed.

    Also None if only older versions of Convoke changed the message.
    """

    @property
    def last_event_id(self) -> int:
        return self.event_id or to_event_id(self.date_updated)

    @property
    def first_event_id(self) -> int:
        """The event id of the creation of the message.

        If only older versions of Convoke changed the message, the result is the event id of the last change.
        """
        return self.created_event_id or self.last_event_id

    @model_validator(mode="before")
    @classmethod
    def _from_old_item(cls, stored: Mapping[str, object]) -> Mapping[str, object]:
        """Convert an item that an early version of Convoke has stored. Return any other item unchanged.

        The old item has at most one media, with the SID `media_sid`. If the message has copies, `delivery` contains
        their number, and all of them have the status `sent`.
        """
        old = {}
        if sid := stored.get("media_sid"):
            old["media"] = ({"sid": sid},)
        if isinstance(delivery := stored.get("delivery"), Mapping):
            old["copies_sent"] = delivery["total"]
        return {**stored, **old}

    @property
    def delivery(self) -> DeliverySummary | None:
        """The summary of the receipts. None if the message has no receipts."""
        return DeliverySummary.of({status: getattr(self, counter_of(status)) for status in COUNTED})


def is_index(text: str) -> bool:
    """Return whether `text` can be the index of a message: at most MAX_INDEX_DIGITS digits and no sign."""
    return re.fullmatch(INDEX_PATTERN, text) is not None


def check_author(author: str) -> str:
    """Return the author, or `system` if the author is empty. Raise AuthorTooLongError if the author is too long."""
    if len(author) > MAX_AUTHOR_CHARACTERS:
        raise AuthorTooLongError
    return author or SYSTEM


def check_body(body: str) -> str | None:
    """Return the body, or None if the body is empty. Raise an error if the body is longer than MAX_BODY_BYTES.

    `check_body_length_outside_chat` checks the smaller maximum for conversations in which a participant has an address.
    """
    if len(body.encode()) > MAX_BODY_BYTES:
        raise MessageTooLongError
    return body or None


def check_message_attributes(attributes: str) -> str:
    return check_attributes(attributes, MAX_MESSAGE_ATTRIBUTES_BYTES)


def check_media_sid(sid: str) -> str:
    if not sid:
        raise MediaSidMissingError
    if (known := parse_sid(sid, Prefix.MEDIA)) is None:
        raise InvalidMediaSidError
    return known


def check_subject(subject: str) -> str | None:
    """Return the subject, or None if the subject is empty. Raise InvalidParameterError if the subject is too long."""
    if len(subject) > MAX_SUBJECT_CHARACTERS:
        raise InvalidParameterError(wanted=f"at most {MAX_SUBJECT_CHARACTERS} characters")
    return subject or None


def find_author(participants: Sequence[Member], author: str) -> Member | None:
    """Return the participant with the identity or address `author`, or None if there is no such participant.

    A projected address counts only if its participant has no identity, because several participants with an identity
    can share one projected address.
    """
    return next((member for member in participants if author in member.author_names), None)


def check_group_author(participants: Sequence[Member], author: str) -> None:
    """Raise an error if `author` is neither the identity nor an address of a participant of a group MMS.

    Here, every projected address is a valid author. Outside a group MMS, every author is valid. See
    docs/behaviour/messages.md#authors.
    """
    known = {name for member in participants for name in (*member.author_names, member.projected_address)}
    if author not in known and any(member.is_in_group for member in participants):
        raise AuthorNotInGroupError(field="author")


def check_body_length_outside_chat(participants: Sequence[Member], body: str | None) -> None:
    """Raise an error if the body is longer than `MAX_BODY_OUTSIDE_CHAT_CHARACTERS` and a participant has an address."""
    too_long_outside_chat = body is not None and len(body) > MAX_BODY_OUTSIDE_CHAT_CHARACTERS
    if too_long_outside_chat and any(member.address for member in participants):
        raise MessageTooLongError(field="body")


Author = Annotated[str, AfterValidator(check_author), string_schema(MAX_AUTHOR_CHARACTERS)]
Body = Annotated[
    str,
    AfterValidator(check_body),
    string_schema(
        MAX_BODY_BYTES,
        description=f"At most {MAX_BODY_OUTSIDE_CHAT_CHARACTERS:,} characters if a participant is outside chat.",
    ),
]
MessageAttributes = Annotated[
    str, AfterValidator(check_message_attributes), attributes_schema(MAX_MESSAGE_ATTRIBUTES_BYTES)
]
Subject = Annotated[str, AfterValidator(check_subject), string_schema(MAX_SUBJECT_CHARACTERS)]
MediaSid = Annotated[str, AfterValidator(check_media_sid), sid_schema(Prefix.MEDIA)]


class MessageParameters(Model):
    """The common parameters of create requests and update requests."""

    author: Author = SYSTEM
    body: Body | None = None
    date_created: DateCreated | None = None
    date_updated: DateUpdated | None = None
    attributes: MessageAttributes = "{}"
    subject: Subject | None = None


class NewMessage(MessageParameters):
    """The parameters of a request that creates a message."""

    order_of_checks: ClassVar[tuple[type[ConversationsError], ...]] = (
        AuthorTooLongError,
        MessageTooLongError,
        AttributesTooLongError,
        AttributesNotJsonError,
        InvalidDateCreatedError,
        InvalidDateUpdatedError,
        MediaSidMissingError,
        InvalidMediaSidError,
        InvalidContentSidError,
        ContentSidMissingError,
        ContentVariablesTooLongError,
        ContentVariablesNotJsonError,
        TooManyContentVariablesError,
        ContentVariableKeyTooLongError,
        ContentVariableTooLongError,
    )

    media_field: ClassVar[str] = "media_sid"
    """The name of the field that contains the media SID, or several media SIDs in a subclass."""

    media_sid: MediaSid | None = None
    content_sid: ContentSid | None = None
    content_variables: ContentVariables | None = None

    @model_validator(mode="after")
    def check(self) -> Self:
        if self.content_variables is not None and self.content_sid is None:
            raise ContentSidMissingError(field="content_variables")
        return self

    def check_against_participants(self, participants: Sequence[Member]) -> None:
        """Raise an error if the message is empty, or if its author or body is not valid with these participants.

        This method is not a model validator, because Convoke must first find the conversation. If the conversation does
        not exist, the client gets NotFoundError and not an error of this method.
        """
        if self.is_empty:
            raise MessageEmptyError(field="body")
        check_group_author(participants, self.author)
        check_body_length_outside_chat(participants, self.shown_body)

    @property
    def is_empty(self) -> bool:
        return not (self.body or self.named_media or self.content_sid)

    @property
    def shown_body(self) -> str | None:
        """The body that Convoke stores. None if a content template replaces the body."""
        return None if self.content_sid else self.body

    @property
    def named_media(self) -> tuple[str, ...]:
        """The SIDs of the media that the request names."""
        return (self.media_sid,) if self.media_sid else ()

    @property
    def shown_media(self) -> tuple[str, ...]:
        """The SIDs of the media that Convoke stores. Empty if a content template replaces the media."""
        return () if self.content_sid else self.named_media

    def message(self, moment: datetime, media: Sequence[MessageMedia], **identity: str | int | None) -> Message:
        """Return the message to store. `identity` contains the fields that no client sends, such as the SID."""
        created = self.date_created or moment
        given = self.model_dump(include={"author", "content_sid", "content_variables", "subject", "attributes"})
        return Message.model_validate(
            {
                **given,
                **identity,
                "body": self.shown_body,
                "media": media,
                "date_created": created,
                "date_updated": self.date_updated or created,
            }
        )


class NewMediaMessage(NewMessage):
    """The parameters of a new message that can have several media: a message from a chat user or a phone.

    A message that is created through the REST resource Message can have only one media.
    """

    media_field: ClassVar[str] = "media_sids"

    media_sids: tuple[MediaSid, ...] = ()

    @property
    def named_media(self) -> tuple[str, ...]:
        return self.media_sids


class NewPhoneMessage(NewMediaMessage):
    """The parameters of a new message from a phone."""

    has_lost_media: bool = False
    """Whether the phone sent media that Convoke could not fetch. If True, Convoke also accepts an empty message.

    A refused message would be lost, because the carrier has already told the phone that the message was delivered.
    """

    @property
    def is_empty(self) -> bool:
        return super().is_empty and not self.has_lost_media


class MessageChange(MessageParameters):
    """The parameters of a request that updates a message. Only the parameters in `model_fields_set` have an effect."""

    order_of_checks: ClassVar[tuple[type[ConversationsError], ...]] = (
        AuthorTooLongError,
        MessageTooLongError,
        AttributesTooLongError,
        AttributesNotJsonError,
        InvalidDateCreatedError,
        InvalidDateUpdatedError,
    )

    def applied_to(self, message: Message, participants: Sequence[Member], moment: datetime) -> Message:
        """Return the changed message. Its `date_updated` is never earlier than the stored `date_updated`.

        Raise an error in these cases:

        - The request contains a body, and the message has media.
        - The new body is empty, and the message has no content template.
        - The new author or the new body is not valid with these participants.
        """
        copied = {"author", "body", "date_created", "attributes", "subject"}
        update: dict[str, object] = {
            **self.model_dump(include=copied, exclude_unset=True),
            "date_updated": max(self.date_updated or moment, message.date_updated),
        }
        if "author" in self.model_fields_set:
            author = find_author(participants, self.author)
            # The new author can be a different participant than the old author, or no participant.
            update["participant_sid"] = author.sid if author else None
        edited = message.model_copy(update=update)
        self._check(edited, participants)
        return edited

    def _check(self, edited: Message, participants: Sequence[Member]) -> None:
        given = self.model_fields_set
        if "body" in given and edited.media:
            raise MediaMessageBodyFixedError(field="body")
        if "body" in given and not (edited.body or edited.content_sid):
            raise MessageEmptyError(field="body")
        if "author" in given:
            check_group_author(participants, edited.author)
        if "body" in given:
            check_body_length_outside_chat(participants, edited.body)


def parse_order(word: str) -> Order:
    try:
        return Order(word.lower())
    except ValueError as error:
        raise InvalidParameterError(wanted="asc or desc") from error


ORDER_SCHEMA = word_schema(Order, IN_EITHER_CASE, default=Order.ASCENDING)


class MessageFilters(Model):
    """The parameters of a request that lists messages. The list is sorted by the index of the messages."""

    order: Annotated[Order, BeforeValidator(parse_order), ORDER_SCHEMA] = Order.ASCENDING
