"""Refuse cross-site requests that could change data, except from allowed origins. Set the CORS headers.

After a person logs in to the API, the browser stores the credentials. A page of another site could then make the
browser send a request with these credentials. This page cannot read the response, but the request could change data.
See docs/behaviour/requests-and-answers.md#browsers.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from http import HTTPStatus
from typing import Any
from urllib.parse import urlsplit

from convoke.api.callers import CHAT_USER_HEADER
from convoke.api.errors import render
from convoke.api.idempotency import IDEMPOTENT_REPLAYED
from convoke.api.preferences import PREFER, PREFERENCE_APPLIED
from convoke.api.requests import WEBHOOK_ENABLED, request_origin
from convoke.api.responses import Response
from convoke.domain.errors import AccessDeniedError
from convoke.domain.idempotency import IDEMPOTENCY_KEY

SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})
"""The methods that change no data (RFC 9110, section 9.2.1)."""

SAME_SITE_VALUES = frozenset({"same-origin", "none"})
"""The values of the header `Sec-Fetch-Site` that are always allowed.

- `same-origin`: a page of the API's own origin sends the request.
- `none`: a person starts the request, for example by typing a URL.

The value `same-site` is not in this set, because all ports of localhost are the same site.
"""

PREFLIGHT_HEADERS = {
    "Access-Control-Allow-Methods": "GET, POST, DELETE",
    "Access-Control-Allow-Headers": (
        f"Authorization, Content-Type, {IDEMPOTENCY_KEY}, {PREFER}, {WEBHOOK_ENABLED}, {CHAT_USER_HEADER}"
    ),
    "Access-Control-Max-Age": "600",
}

EXPOSED_HEADERS = f"ETag, {IDEMPOTENT_REPLAYED}, {PREFERENCE_APPLIED}, Retry-After, Twilio-Request-Id"


class InvalidOriginError(ValueError):
    """An allowed origin is not a scheme and a host. The error text is one line, which the command line prints."""


class Origins:
    """Decides which requests the API refuses as cross-site requests, and which responses get CORS headers.

    Pages of the allowed origins and of the API's own origin may use the API.
    """

    def __init__(self, allowed: Iterable[str] = (), public_url: str | None = None) -> None:
        """Store the allowed origins. Raise InvalidOriginError if an origin is not valid.

        `public_url` is the base URL that clients use. If `public_url` is None, the headers of each request determine
        the origin of the API.
        """
        self._allowed = frozenset(map(_checked, allowed))
        self._own = public_url and "{0.scheme}://{0.netloc}".format(urlsplit(public_url))

    def refusal(self, event: Mapping[str, Any]) -> Response | None:
        """Return an error response to a forbidden cross-site request, and the response to an allowed preflight request.

        Return None for all other requests, which the dispatcher must answer.
        """
        method: str = event["requestContext"]["http"]["method"]
        headers: Mapping[str, str] = event.get("headers") or {}
        if method == "OPTIONS" and headers.get("origin") in self._allowed:
            return Response(HTTPStatus.NO_CONTENT, headers=dict(PREFLIGHT_HEADERS))
        if method in SAFE_METHODS or self.may_change(headers):
            return None
        return render(
            AccessDeniedError(),
            "The request comes from a page of another site: its origin must be one of the allowed origins",
        )

    def headers(self, event: Mapping[str, Any]) -> dict[str, str]:
        """Return the CORS headers for a response. See https://fetch.spec.whatwg.org/#http-cors-protocol."""
        if not self._allowed:
            return {}
        origin = (event.get("headers") or {}).get("origin")
        # Without this header, a cache could send this response to a page of another origin.
        vary = {"Vary": "Origin"}
        if origin not in self._allowed:
            return vary
        return {**vary, "Access-Control-Allow-Origin": origin, "Access-Control-Expose-Headers": EXPOSED_HEADERS}

    def may_change(self, headers: Mapping[str, str]) -> bool:
        """Return whether a request with these headers may change data, or may open a WebSocket."""
        origin = headers.get("origin")
        if origin in self._allowed:
            return True
        if (site := headers.get("sec-fetch-site")) is not None:
            return site in SAME_SITE_VALUES
        # The request has no header Sec-Fetch-Site. An old browser sends Origin without Sec-Fetch-Site, so a request
        # without both headers does not come from a browser.
        return origin is None or origin == (self._own or request_origin(headers))


def _checked(origin: str) -> str:
    parts = urlsplit(origin)
    if parts.scheme not in ("http", "https") or f"{parts.scheme}://{parts.netloc}" != origin or not parts.hostname:
        raise InvalidOriginError(f"the allowed origin {origin!r} must be a scheme and a host, like https://example.com")
    return origin
