"""Upload media, fetch media, and make links to the content of media. See docs/behaviour/media.md."""

from __future__ import annotations

import hmac
from collections.abc import Sequence
from typing import BinaryIO

from convoke.domain.errors import MediaTooLargeError, NotFoundError
from convoke.domain.instants import Clock
from convoke.domain.media import LINK_LIFETIME, Category, Content, Media
from convoke.domain.services import Service
from convoke.domain.sids import NewSid, Prefix, parse_sid
from convoke.lean_dataclass import lean_dataclass
from convoke.operations.accounts import AccountOperations
from convoke.operations.ports import MediaStore
from convoke.storage.media import MediaRepository
from convoke.storage.participants import ParticipantRepository

MAX_FORM_OVERHEAD_BYTES = 64 * 1024
"""The maximum size of everything in a multipart form except the content of the media."""


@lean_dataclass
class MediaOperations:
    media: MediaRepository
    participants: ParticipantRepository
    store: MediaStore
    accounts: AccountOperations
    max_upload_bytes: int
    """The maximum size of the content that one request can upload."""
    now: Clock
    new_sid: NewSid

    @property
    def max_body_bytes(self) -> int:
        """The maximum size of the body of an upload request. The body is a multipart form that contains the content."""
        return self.max_upload_bytes + MAX_FORM_OVERHEAD_BYTES

    def begin(
        self, service: Service, category: Category, author: str | None = None, max_bytes: int | None = None
    ) -> MediaUpload:
        """Store the record of a new media, and return an object that uploads the content.

        `author` is the identity of the chat user who uploads the media. None means that no chat user uploads the media.
        `max_bytes` is the maximum size of the content. None means `max_upload_bytes`.

        The record is stored before the content. If the process dies during the upload, the sweeper finds the record and
        removes the incomplete media. See docs/decisions/0140-record-before-content.md.
        """
        now = self.now()
        media = Media(
            account_sid=service.account_sid,
            chat_service_sid=service.sid,
            sid=self.new_sid(Prefix.MEDIA),
            author=author,
            category=category,
            date_created=now,
            date_updated=now,
        )
        self.media.create(media)
        return MediaUpload(self, media, max_bytes or self.max_upload_bytes)

    def fetch(self, service: Service, media_sid: str, reader: str | None = None) -> Media:
        """Return a media whose upload is complete. Raises NotFoundError.

        `reader` is the identity of the chat user who fetches the media. None means that the account fetches the media.
        The account may fetch all media of the service. If a message contains the media, a chat user must be a
        participant of the message's conversation. Otherwise, the chat user must have uploaded the media.
        """
        known = parse_sid(media_sid, Prefix.MEDIA)
        media = known and self.media.fetch(service.account_sid, known)
        if not media or not self._is_shown(service, media, reader):
            raise NotFoundError
        return media

    def fetch_set(self, service: Service, media_sids: Sequence[str], reader: str | None = None) -> list[Media | None]:
        """Return the media in the order of `media_sids`. An entry is None if `fetch` would raise an error."""
        known = [parse_sid(sid, Prefix.MEDIA) for sid in media_sids]
        found = self.media.fetch_many(service.account_sid, [sid for sid in known if sid])
        shown = {sid: media for sid, media in found.items() if self._is_shown(service, media, reader)}
        return [shown.get(sid or "") for sid in known]

    def direct_link(self, media: Media) -> str | None:
        """Return a URL of the media store from which everybody can download the content for five minutes.

        Return None if the media store cannot make links, so that the API must serve the content.
        """
        return self.store.link(media, LINK_LIFETIME)

    def link(self, media: Media, base_url: str) -> str:
        """Return a URL from which everybody can download the content for five minutes.

        If the media store cannot make links, the link begins with `base_url`, which is the base URL of the API.
        """
        if link := self.direct_link(media):
            return link
        expires = int((self.now() + LINK_LIFETIME).timestamp())
        token = f"{media.account_sid}.{expires}.{self._signature(media.account_sid, media.sid, expires)}"
        return f"{base_url}{content_path(media)}?token={token}"

    def link_of(self, account_sid: str, media_sid: str, base_url: str) -> str | None:
        """Return a link to the content of a media, or None if Convoke does not have the content."""
        media = self.media.fetch(account_sid, media_sid)
        return self.link(media, base_url) if media and media.content else None

    def account_of_link(self, media_sid: str, token: str) -> str | None:
        """Return the SID of the account whose link contains `token`, or None if the token is invalid or expired.

        Raises NotAuthenticatedError if the token contains the SID of an account that does not exist.
        """
        account_sid, _, rest = token.partition(".")
        expires, _, signature = rest.partition(".")
        known, known_media = parse_sid(account_sid, Prefix.ACCOUNT), parse_sid(media_sid, Prefix.MEDIA)
        if known is None or known_media is None or not expires.isdecimal() or len(expires) > len("9999999999"):
            return None
        if int(expires) < int(self.now().timestamp()):
            return None
        expected = self._signature(known, known_media, int(expires))
        return known if hmac.compare_digest(expected.encode(), signature.encode()) else None

    def open(self, media: Media) -> BinaryIO:
        """Return a stream of the content. Raises NotFoundError if the content was removed after `media` was read."""
        try:
            return self.store.open(media.account_sid, media.sid)
        except FileNotFoundError as error:
            raise NotFoundError from error

    def _is_shown(self, service: Service, media: Media, reader: str | None) -> bool:
        if media.content is None or media.date_removed or media.chat_service_sid != service.sid:
            return False
        if reader is None:
            return True
        if media.conversation_sid is None:
            return media.author == reader
        return self.participants.sid_of(media.account_sid, media.conversation_sid, reader) is not None

    def _signature(self, account_sid: str, media_sid: str, expires: int) -> str:
        """Return the signature of a link. Raises NotAuthenticatedError if the account does not exist.

        A new Auth Token makes all older links invalid.
        """
        key = hmac.digest(self.accounts.token(account_sid).encode(), b"media links", "sha256")
        return hmac.digest(key, f"{media_sid}.{expires}".encode(), "sha256").hex()


class MediaUpload:
    """The upload of the content of one media. Only one thread at a time may use this object."""

    def __init__(self, operations: MediaOperations, media: Media, max_bytes: int) -> None:
        self.media = media
        self._max_bytes = max_bytes
        self._operations = operations
        self._writer = operations.store.writer(media.account_sid, media.sid)
        self._size = 0

    def write(self, data: bytes) -> None:
        """Append a part of the content. Raises MediaTooLargeError."""
        self._size += len(data)
        if self._size > self._max_bytes:
            raise MediaTooLargeError
        self._writer.write(data)

    def complete(self, content_type: str, filename: str | None) -> Media:
        """Store the content durably, and then its type, filename and size. Return the complete media.

        Raises NotFoundError if the record of the media was deleted during the upload.
        """
        self._writer.commit(content_type)
        content = Content(content_type=content_type, filename=filename, size=self._size)
        if not self._operations.media.complete(self.media, content):
            raise NotFoundError
        return self.media.model_copy(update={"content": content})

    def abort(self) -> None:
        """Discard the content. The sweeper removes the record of the media later."""
        self._writer.abort()


def content_path(media: Media) -> str:
    """Return the path at which the API serves the content of a media."""
    return f"/v1/Services/{media.chat_service_sid}/Media/{media.sid}/Content"
