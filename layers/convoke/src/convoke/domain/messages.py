"""The Message resource: what is stored of one, and what a client may say of it (reference, a.4)."""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import datetime
from typing import Annotated, ClassVar, Self

from pydantic import AfterValidator, BeforeValidator, model_validator

from convoke.domain.attributes import check_attributes
from convoke.domain.content import check_content_sid, check_content_variables
from convoke.domain.dates import date_validator
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
from convoke.domain.instants import Instant
from convoke.domain.model import Model
from convoke.domain.pages import Order
from convoke.domain.participants import Participant
from convoke.domain.receipts import DeliverySummary
from convoke.domain.sids import Prefix, is_sid

SYSTEM = "system"
"""The author of a message that names none."""

MAX_AUTHOR_CHARACTERS = 256
MAX_SUBJECT_CHARACTERS = 256
"""Characters (reference, f.1)."""

MAX_MESSAGE_ATTRIBUTES_BYTES = 4 * 1024
MAX_BODY_BYTES = 32 * 1024
"""Bytes (reference, f.1)."""

MAX_BODY_OUTSIDE_CHAT_CHARACTERS = 1600
"""Characters, where any member is outside chat (reference, f.1)."""

MAX_INDEX_DIGITS = 18
"""Decimal digits that a client may send of one: every number that both engines keep exactly."""

INDEX_DIGITS = 12
"""Hexadecimal digits of a SID that hold the index of the message."""


class Message(Model):
    """A message as it is stored. `content_variables` and `subject` are never shown to clients."""

    account_sid: str
    conversation_sid: str
    sid: str
    index: int
    author: str
    body: str | None = None
    media_sid: str | None = None
    content_sid: str | None = None
    content_variables: str | None = None
    subject: str | None = None
    attributes: str = "{}"
    participant_sid: str | None = None
    delivery: DeliverySummary | None = None
    """None where nobody outside chat was sent a copy."""
    date_created: Instant
    date_updated: Instant


def sid_with_index(sid: str, index: int) -> str:
    """`sid` with the index of its message in the place of the time, so that SIDs sort by index, whoever made them.

    What is left of it, 80 bits, tells messages with the same index apart.
    """
    start = len(Prefix.MESSAGE)
    return f"{Prefix.MESSAGE}{index:0{INDEX_DIGITS}x}{sid[start + INDEX_DIGITS :]}"


def greatest_sid_with_index(index: int) -> str:
    """The greatest SID that a message with this index can have: behind it are those with greater ones."""
    return sid_with_index(Prefix.MESSAGE + "f" * 32, index)


def is_index(text: str) -> bool:
    """Whether `text` could be the index of a message."""
    return re.fullmatch(f"[0-9]{{1,{MAX_INDEX_DIGITS}}}", text) is not None


def check_author(author: str) -> str:
    """The empty one counts as none given."""
    if len(author) > MAX_AUTHOR_CHARACTERS:
        raise AuthorTooLongError
    return author or SYSTEM


def check_body(body: str) -> str | None:
    """The empty one counts as none given. The lower limit depends on the members: see `check_body_length_outside_chat`."""
    if len(body.encode()) > MAX_BODY_BYTES:
        raise MessageTooLongError
    return body or None


def check_message_attributes(attributes: str) -> str:
    return check_attributes(attributes, MAX_MESSAGE_ATTRIBUTES_BYTES)


def check_media_sid(sid: str) -> str:
    if not sid:
        raise MediaSidMissingError
    if not is_sid(sid, Prefix.MEDIA):
        raise InvalidMediaSidError
    return sid


def check_subject(subject: str) -> str | None:
    """The empty one is none."""
    if len(subject) > MAX_SUBJECT_CHARACTERS:
        raise InvalidParameterError(wanted=f"at most {MAX_SUBJECT_CHARACTERS} characters")
    return subject or None


def find_author(participants: Sequence[Participant], author: str) -> Participant | None:
    """The member who speaks as `author`. A number that several people of a group stand behind is none of them."""
    return next((member for member in participants if author in member.names), None)


def check_group_author(participants: Sequence[Participant], author: str) -> None:
    """In a group MMS it is one of the members, or a number that several of them stand behind (reference, a.4)."""
    known = {name for member in participants for name in (*member.names, member.projected_address)}
    if author not in known and any(member.is_in_group for member in participants):
        raise AuthorNotInGroupError(parameter="Author")


def check_body_length_outside_chat(participants: Sequence[Participant], body: str | None) -> None:
    too_long_outside_chat = body is not None and len(body) > MAX_BODY_OUTSIDE_CHAT_CHARACTERS
    if too_long_outside_chat and any(member.address for member in participants):
        raise MessageTooLongError(parameter="Body")


class MessageParameters(Model):
    """What a client may say of a message, whether it sends or edits it."""

    author: Annotated[str, AfterValidator(check_author)] = SYSTEM
    body: Annotated[str, AfterValidator(check_body)] | None = None
    date_created: Annotated[Instant, BeforeValidator(date_validator(InvalidDateCreatedError))] | None = None
    date_updated: Annotated[Instant, BeforeValidator(date_validator(InvalidDateUpdatedError))] | None = None
    attributes: Annotated[str, AfterValidator(check_message_attributes)] = "{}"
    subject: Annotated[str, AfterValidator(check_subject)] | None = None


class NewMessage(MessageParameters):
    """What a client asks to send."""

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

    media_sid: Annotated[str, AfterValidator(check_media_sid)] | None = None
    content_sid: Annotated[str, AfterValidator(check_content_sid)] | None = None
    content_variables: Annotated[str, AfterValidator(check_content_variables)] | None = None

    @model_validator(mode="after")
    def check(self) -> Self:
        if self.content_variables is not None and self.content_sid is None:
            raise ContentSidMissingError(parameter="ContentVariables")
        return self

    def check_against_participants(self, participants: Sequence[Participant]) -> None:
        """Asked once it is known that there is a conversation: that there is none comes before it."""
        if not (self.body or self.media_sid or self.content_sid):
            raise MessageEmptyError(parameter="Body")
        check_group_author(participants, self.author)
        check_body_length_outside_chat(participants, self.shown_body)

    @property
    def shown_body(self) -> str | None:
        """A template takes the place of body and media (reference, a.4)."""
        return None if self.content_sid else self.body

    @property
    def shown_media_sid(self) -> str | None:
        return None if self.content_sid else self.media_sid

    def message(self, moment: datetime, **identity: str | int | None) -> Message:
        """The message as it is stored; `identity` is what the request does not say of it."""
        created = self.date_created or moment
        given = self.model_dump(include={"author", "content_sid", "content_variables", "subject", "attributes"})
        return Message.model_validate(
            {
                **given,
                **identity,
                "body": self.shown_body,
                "media_sid": self.shown_media_sid,
                "date_created": created,
                "date_updated": self.date_updated or created,
            }
        )


class MessageChange(MessageParameters):
    """What an edit asks for; a field that was not given stays as it is (look at `model_fields_set`)."""

    order_of_checks: ClassVar[tuple[type[ConversationsError], ...]] = (
        AuthorTooLongError,
        MessageTooLongError,
        AttributesTooLongError,
        AttributesNotJsonError,
        InvalidDateCreatedError,
        InvalidDateUpdatedError,
    )

    def applied_to(self, message: Message, participants: Sequence[Participant], moment: datetime) -> Message:
        """The message as it is from `moment` on; its date of update never goes back.

        Raises why it cannot be that among those `participants`.
        """
        copied = {"author", "body", "date_created", "attributes", "subject"}
        update: dict[str, object] = {
            **self.model_dump(include=copied, exclude_unset=True),
            "date_updated": max(self.date_updated or moment, message.date_updated),
        }
        if "author" in self.model_fields_set:
            author = find_author(participants, self.author)
            update["participant_sid"] = author.sid if author else None
        edited = message.model_copy(update=update)
        self._check(edited, participants)
        return edited

    def _check(self, edited: Message, participants: Sequence[Participant]) -> None:
        given = self.model_fields_set
        if "body" in given and edited.media_sid:
            raise MediaMessageBodyFixedError(parameter="Body")
        if not (edited.body or edited.media_sid or edited.content_sid):
            raise MessageEmptyError(parameter="Body")
        if "author" in given:
            check_group_author(participants, edited.author)
        if "body" in given:
            check_body_length_outside_chat(participants, edited.body)


def parse_order(word: str) -> Order:
    try:
        return Order(word.lower())
    except ValueError as error:
        raise InvalidParameterError(wanted="asc or desc") from error


class MessageFilters(Model):
    """In what order a list is to show messages; by index, the first one first, where nothing is said."""

    order: Annotated[Order, BeforeValidator(parse_order)] = Order.ASCENDING
