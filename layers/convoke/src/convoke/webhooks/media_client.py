"""Fetch the media of inbound messages. The calls have the same restrictions as webhook calls.

domain/receivers.py determines which networks a call may reach.
"""

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
from convoke.domain.urls import normal_url
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
        """Request a media file. The caller must read the content inside the `with` block.

        A request contains `credentials` only if it goes to the carrier's own origin.

        Raise MediaRefusedError if the last answer does not have the status 200, if a URL is malformed, or if there are
        too many redirects. Raise WebhookUnreachableError if the whole answer does not arrive within `seconds`, or if
        the receiver rules do not allow the call.
        """
        until = time.monotonic() + seconds
        for _ in range(MAX_REDIRECTS + 1):
            url = _normal(url)
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
                        yield _fetched(response, until)
                        return
                    url = _redirected(url, location)
                finally:
                    response.close()
        raise MediaRefusedError("too many redirects")


def _normal(url: str) -> str:
    r"""Return the normal form of a URL. Raise MediaRefusedError if Convoke cannot call the URL.

    Without the normal form, urllib and urllib3 can find different hosts in a URL such as `https://one\@other`. The
    credentials of a carrier could then go to the wrong host.
    """
    try:
        return normal_url(url)
    except ValueError as error:
        raise MediaRefusedError("a malformed URL") from error


def _headers(url: str, credentials: CarrierCredentials | None) -> dict[str, str]:
    """Return the headers of a request, with the credentials only if `url` has the carrier's own origin.

    The URL after a redirect can have another origin.
    """
    headers, origin = {"Accept-Encoding": "identity"}, _origin(url)
    if credentials and origin == _origin(credentials.origin):
        encoded = b64encode(f"{credentials.user}:{credentials.password}".encode()).decode()
        headers["Authorization"] = f"Basic {encoded}"
    return headers


def _origin(url: str) -> tuple[str, str | None, int | None]:
    parts = urlsplit(url)
    return parts.scheme, parts.hostname, parts.port


def _redirected(url: str, location: str) -> str:
    try:
        return urljoin(url, location)
    except ValueError as error:
        raise MediaRefusedError("a malformed URL") from error


def _fetched(response: BaseHTTPResponse, until: float) -> FetchedMedia:
    if response.status != 200:
        raise MediaRefusedError(f"status {response.status}")
    filename = _filename(response.headers.get("Content-Disposition", ""))
    return FetchedMedia(response.headers.get("Content-Type", ""), filename, _parts(response, until))


def _filename(header: str) -> str | None:
    """Return the filename in a `Content-Disposition` header.

    Return None if there is no filename that Convoke can store.
    """
    disposition = Message()
    disposition["Content-Disposition"] = header
    try:
        filename = disposition.get_filename()
        # The header can name any Python codec. Some codecs produce surrogates, for which `encode` raises ValueError.
        return filename and filename.encode().decode()
    except ValueError:
        return None


def _parts(response: BaseHTTPResponse, until: float) -> Iterator[bytes]:
    while part := response.read1(PART_BYTES, decode_content=False):
        yield part
    # At the deadline, another thread ends the connection. Content of unknown length then looks complete although its
    # end is missing. Therefore check the deadline.
    if time.monotonic() >= until:
        raise WebhookLateError("the content did not arrive in time")
