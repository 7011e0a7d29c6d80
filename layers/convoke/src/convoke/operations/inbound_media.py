"""Fetch the media of inbound messages from the carrier, and store them. See docs/behaviour/media.md#media-of-phones."""

from __future__ import annotations

import logging
import time
from collections.abc import Sequence
from typing import NamedTuple

from convoke.domain.errors import ConversationsError, MediaTypeNotAcceptableError, UnavailableError
from convoke.domain.media import (
    MAX_FILENAME_CHARACTERS,
    MAX_MEDIA,
    MAX_WHATSAPP_BYTES,
    PHONE_TYPES,
    CarrierCredentials,
    Category,
    parse_content_type,
)
from convoke.domain.services import Service
from convoke.lean_dataclass import lean_dataclass
from convoke.operations.media import MediaOperations
from convoke.operations.ports import MediaClient
from convoke.webhooks.answers import FetchedMedia, MediaRefusedError, WebhookUnreachableError

logger = logging.getLogger(__name__)

FETCH_SECONDS = 10.0
"""The maximum time to fetch all media of one message. Twilio waits only 15 seconds for Convoke's response."""


TOO_MANY = f"a message has at most {MAX_MEDIA} media"
"""The reported reason for the loss of each media after the first MAX_MEDIA media of a message."""


class FetchedMediaSids(NamedTuple):
    """The SIDs of the media that were fetched, and one reason for each media that was not fetched."""

    sids: tuple[str, ...] = ()
    losses: tuple[str, ...] = ()


@lean_dataclass
class InboundMedia:
    media: MediaOperations
    client: MediaClient

    def fetch(
        self, service: Service, urls: Sequence[str], credentials: CarrierCredentials | None = None
    ) -> FetchedMediaSids:
        """Fetch the media of a message, at most MAX_MEDIA, and store them.

        The method skips a media that cannot be fetched, so that the message is not lost. If Convoke itself cannot store
        a media, the method raises UnavailableError, and the carrier delivers the message again.

        Call this method before a request writes anything to the table, because the request may start again: on the
        event loop of the embedded engine, the method raises NeedsThreadError, and the request is repeated on a thread.
        """
        until = time.monotonic() + FETCH_SECONDS
        fetched, losses = [], []
        for url in urls[:MAX_MEDIA]:
            try:
                fetched.append(self._fetch(service, url, credentials, until - time.monotonic()))
            except UnavailableError:
                raise
            except (WebhookUnreachableError, MediaRefusedError, ConversationsError) as error:
                # Do not log the URL, because a URL can contain a phone number or a token.
                reason = f"{type(error).__name__}: {error}"
                logger.warning("a media of a phone could not be fetched", extra={"error": reason})
                losses.append(str(error))
        losses += [TOO_MANY] * len(urls[MAX_MEDIA:])
        return FetchedMediaSids(tuple(fetched), tuple(losses))

    def _fetch(self, service: Service, url: str, credentials: CarrierCredentials | None, seconds: float) -> str:
        with self.client.fetch(url, credentials, seconds) as found:
            content_type = parse_content_type(found.content_type)
            if content_type not in PHONE_TYPES:
                raise MediaTypeNotAcceptableError
            return self._stored(service, found, content_type)

    def _stored(self, service: Service, found: FetchedMedia, content_type: str) -> str:
        upload = self.media.begin(service, Category.MEDIA, max_bytes=MAX_WHATSAPP_BYTES)
        try:
            for part in found.parts:
                upload.write(part)
            return upload.complete(content_type, (found.filename or "")[:MAX_FILENAME_CHARACTERS] or None).sid
        except BaseException:
            upload.abort()
            raise
