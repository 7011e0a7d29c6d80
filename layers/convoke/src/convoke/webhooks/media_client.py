"""The HTTP client that fetches the media of phones. It has the restrictions of the webhook client."""

from __future__ import annotations

import time
from base64 import b64encode
from collections.abc import Iterator
from contextlib import contextmanager
from email.message import Message
from typing import TYPE_CHECKING
from urllib.parse import urljoin, urlsplit

from convoke.domain.connections import ConnectionSettings
from convoke.domain.media import CarrierCredentials
from convoke.webhooks.answers import FetchedMedia, MediaRefusedError, WebhookLateError
from convoke.webhooks.client import BoundedHttpClient

if TYPE_CHECKING:
    from urllib3 import BaseHTTPResponse

MAX_REDIRECTS = 3

PART_BYTES = 64 * 1024

REDIRECTS = frozenset({301, 302, 303, 307, 308})


class MediaHttpClient(BoundedHttpClient):
    """Implements `MediaClient`."""

    @contextmanager
    def fetch(self, url: str, credentials: CarrierCredentials | None, seconds: float) -> Iterator[FetchedMedia]:
        """Request a media. The content arrives while the caller reads it inside the block.

        Raises MediaRefusedError if the answer contains no media. Raises WebhookUnreachableError if the answer does not
        arrive completely within `seconds`.
        """
        until = time.monotonic() + seconds
        for _ in range(MAX_REDIRECTS + 1):
            left = until - time.monotonic()
            if left <= 0:
                raise WebhookLateError("no time is left")
            settings = ConnectionSettings(retries=0, connect=left, read=left, total=left)
            headers = _headers(url, credentials)
            with self.call_under_way(url, settings):
                response = self.request("GET", url, headers, settings)
                try:
                    location = response.headers.get("Location")
                    if response.status not in REDIRECTS or location is None:
                        yield _fetched(response)
                        return
                    url = _redirected(url, location)
                finally:
                    response.close()
        raise MediaRefusedError("too many redirects")


def _headers(url: str, credentials: CarrierCredentials | None) -> dict[str, str]:
    """Return the headers of a request. Only the origin of the carrier gets the credentials, and not its redirects.

    Raises MediaRefusedError if the URL is malformed.
    """
    headers, origin = {"Accept-Encoding": "identity"}, _origin(url)
    if credentials and origin == _origin(credentials.origin):
        encoded = b64encode(f"{credentials.user}:{credentials.password}".encode()).decode()
        headers["Authorization"] = f"Basic {encoded}"
    return headers


def _origin(url: str) -> tuple[str, str | None, int | None]:
    try:
        parts = urlsplit(url)
        origin = parts.scheme, parts.hostname, parts.port
    except ValueError as error:
        raise MediaRefusedError("a malformed URL") from error
    if parts.scheme not in ("http", "https"):
        raise MediaRefusedError("a URL without http or https")
    return origin


def _redirected(url: str, location: str) -> str:
    try:
        return urljoin(url, location)
    except ValueError as error:
        raise MediaRefusedError("a malformed URL") from error


def _fetched(response: BaseHTTPResponse) -> FetchedMedia:
    if response.status != 200:
        raise MediaRefusedError(f"status {response.status}")
    disposition = Message()
    disposition["Content-Disposition"] = response.headers.get("Content-Disposition", "")
    return FetchedMedia(response.headers.get("Content-Type", ""), disposition.get_filename(), _parts(response))


def _parts(response: BaseHTTPResponse) -> Iterator[bytes]:
    while part := response.read1(PART_BYTES, decode_content=False):
        yield part
