"""The Media resource: a file that a message can contain, and the rules for its upload.

See docs/behaviour/media.md.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Annotated, ClassVar, Literal, NamedTuple
from urllib.parse import quote

from pydantic import AfterValidator, Field

from convoke.domain.addresses import Channel
from convoke.domain.errors import (
    ConversationsError,
    InvalidParameterError,
    MediaAlreadyUsedError,
    MediaNotFoundError,
    MediaTooLargeError,
    MediaTypeNotAcceptableError,
)
from convoke.domain.instants import Instant
from convoke.domain.json_schema import string_schema, word_schema
from convoke.domain.model import Model
from convoke.domain.participants import Member

MAX_MEDIA = 10
"""The maximum number of media in one message."""

MAX_MEDIA_BYTES = 150 * 1024 * 1024
"""The maximum size of one media in an upload. On AWS, `MAX_UPLOAD_BYTES` in aws/edges.py is the maximum instead."""

MAX_MMS_BYTES = 5 * 1024 * 1024
"""The maximum total size of all media of a message, if a participant of the conversation has an SMS binding."""

MAX_WHATSAPP_BYTES = 16 * 1024 * 1024
"""The maximum size of each media of a message, if a participant of the conversation has a WhatsApp binding."""

MAX_FILENAME_CHARACTERS = 256

MAX_MEDIA_IN_SET = 100
"""The maximum number of media that one request can fetch."""

UNUSED_LIFETIME = timedelta(days=1)
"""The time after which the sweeper removes a media that no message contains."""

LINK_LIFETIME = timedelta(minutes=5)
"""How long a link to the content of a media is valid."""

BINARY = "application/octet-stream"

PHONE_TYPES = frozenset(
    {
        "application/pdf",
        "application/vcard",
        *(f"audio/{each}" for each in ("3gpp", "aac", "ac3", "amr", "basic", "mp4", "mpeg", "ogg", "wav", "webm")),
        *(f"image/{each}" for each in ("bmp", "gif", "heic", "heif", "jpeg", "jpg", "png", "tiff", "webp")),
        *(f"text/{each}" for each in ("calendar", "csv", "plain", "vcard", "x-vcard")),
        *(f"video/{each}" for each in ("3gpp", "mp4", "mpeg", "ogg", "quicktime", "webm")),
    }
)
"""The content types that phones can send and receive.

A browser does not run scripts in content of these types. Therefore Convoke can serve such content with its own content
type. AWS End User Messaging sends fewer types, see MAX_BYTES in `aws/sms_carrier.py`.
"""

SHOWN_TYPES = (*sorted(PHONE_TYPES), BINARY)
"""The content types with which Convoke can serve the content of a media."""

_CONTENT_TYPE = re.compile(r"[a-z0-9][a-z0-9!#$&^_.+-]{0,126}/[a-z0-9][a-z0-9!#$&^_.+-]{0,126}")
"""Matches a media type without parameters in lower case (RFC 6838, section 4.2)."""


class Category(StrEnum):
    """The role of a media in its message. `body` and `history` are for the parts of an e-mail.

    Convoke stores the category of an upload, but does not check whether the message is an e-mail.
    """

    MEDIA = "media"
    BODY = "body"
    HISTORY = "history"


class CarrierCredentials(NamedTuple):
    """The credentials with which Convoke fetches media from a carrier."""

    origin: str
    """The scheme and the host of the carrier, such as `https://api.twilio.com`.

    Convoke sends the credentials only to this origin.
    """
    user: str
    password: str


class MessageMedia(Model):
    """One media of a message. If an early version of Convoke stored the message, all fields except the SID are None."""

    sid: str
    content_type: str | None = None
    size: int | None = None
    """The number of bytes."""
    filename: str | None = None
    category: Category | None = None


class Content(Model):
    """The description of a media's content. The media store contains the content itself."""

    content_type: str
    filename: str | None = None
    size: int
    """The number of bytes."""


class Media(Model):
    """The record of a media. The content is in the media store, under the Account SID and the media SID."""

    account_sid: str
    chat_service_sid: str
    sid: str
    author: str | None = None
    """The identity of the chat user who uploaded the media. None if the media is from the account or from a phone."""
    category: Category
    content: Content | None = None
    """None until the upload is complete. Stays None if the upload is interrupted."""
    conversation_sid: str | None = None
    message_sid: str | None = None
    """The message that contains the media. None if no message contains the media yet."""
    date_created: Instant
    date_updated: Instant
    date_removed: Instant | None = None
    """The time at which the media was deleted. The sweeper removes the content after this time."""

    @property
    def due_at(self) -> datetime | None:
        """The time at which the sweeper must remove the media.

        None if a message contains the media and the media was not deleted.
        """
        if self.date_removed:
            return self.date_removed
        return None if self.message_sid else self.date_created + UNUSED_LIFETIME

    @property
    def in_message(self) -> MessageMedia:
        details = self.content.model_dump() if self.content else {}
        return MessageMedia(sid=self.sid, category=self.category, **details)

    def check_sendable(self, author: str | None, chat_service_sid: str, field: str) -> None:
        """Raise MediaNotFoundError or MediaAlreadyUsedError if a new message cannot contain this media.

        `author` is the identity of the chat user who sends the message. A chat user can send only media that the same
        user uploaded. `author` is None if no chat user sends the message. `field` is the field with the media SID.
        """
        is_visible = self.chat_service_sid == chat_service_sid and author in (None, self.author)
        if not is_visible or self.content is None or self.date_removed:
            raise MediaNotFoundError(field=field)
        if self.message_sid:
            raise MediaAlreadyUsedError(field=field)

    @property
    def shown_type(self) -> str:
        """The content type of a download. BINARY if the stored type is not in PHONE_TYPES.

        A browser could run content of another type as a page or a script.
        """
        found = self.content.content_type if self.content else BINARY
        return found if found in PHONE_TYPES else BINARY

    @property
    def disposition(self) -> str:
        """The header `Content-Disposition` of a download (RFC 6266).

        The filename is percent-encoded, so a filename with special characters cannot change the header.
        """
        name = self.content.filename if self.content else None
        return f"attachment; filename*=UTF-8''{quote(name, safe='')}" if name else "attachment"


def parse_content_type(text: str) -> str:
    """Return the media type in `text`, in lower case and without parameters. If `text` is empty, return BINARY.

    Raises MediaTypeNotAcceptableError if `text` is not a media type.
    """
    essence = text.partition(";")[0].strip().lower() or BINARY
    if not _CONTENT_TYPE.fullmatch(essence):
        raise MediaTypeNotAcceptableError
    return essence


def check_filename(filename: str) -> str | None:
    """Return the filename, or None if the filename is empty.

    The filename can contain any character, because Convoke does not use the filename as a path.
    """
    if len(filename) > MAX_FILENAME_CHARACTERS:
        raise InvalidParameterError(wanted=f"at most {MAX_FILENAME_CHARACTERS} characters")
    return filename or None


def check_number(sids: Sequence[str], field: str) -> None:
    """Raise an error if `sids` contains too many media SIDs, or contains a SID twice."""
    if len(sids) > MAX_MEDIA:
        raise InvalidParameterError(field=field, wanted=f"at most {MAX_MEDIA} media")
    if len({*sids}) < len(sids):
        raise MediaAlreadyUsedError(field=field)


def check_channels(participants: Sequence[Member], media: Sequence[Media], field: str) -> None:
    """Raise an error if a participant's channel does not accept the media. See docs/behaviour/media.md#channels."""
    contents = [each.content for each in media if each.content]
    channels = {member.messaging_binding.type for member in participants if member.messaging_binding}
    if channels & {Channel.SMS, Channel.WHATSAPP} and any(each.content_type not in PHONE_TYPES for each in contents):
        raise MediaTypeNotAcceptableError(field=field)
    if Channel.SMS in channels and sum(each.size for each in contents) > MAX_MMS_BYTES:
        raise MediaTooLargeError(field=field)
    if Channel.WHATSAPP in channels and any(each.size > MAX_WHATSAPP_BYTES for each in contents):
        raise MediaTooLargeError(field=field)


Filename = Annotated[str, AfterValidator(check_filename), string_schema(MAX_FILENAME_CHARACTERS)]

CATEGORY_SCHEMA = word_schema(Category, default=Category.MEDIA)


class NewMedia(Model):
    """The parameters of an upload. The body of the request contains the content."""

    order_of_checks: ClassVar[tuple[type[ConversationsError], ...]] = (InvalidParameterError,)

    category: Annotated[Category, CATEGORY_SCHEMA] = Category.MEDIA
    filename: Filename | None = None


class MediaSetItem(Model):
    media_sid: str


class MediaSetRequest(Model):
    """The body of a request that fetches several media. `get` is the only command."""

    command: Literal["get"]
    list: Annotated[tuple[MediaSetItem, ...], Field(max_length=MAX_MEDIA_IN_SET)]
