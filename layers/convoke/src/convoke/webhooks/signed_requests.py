"""Build the signed HTTP request of a webhook call. See docs/behaviour/webhook-delivery.md#signature."""

from __future__ import annotations

from typing import NamedTuple
from urllib.parse import unquote, urlencode

import urllib3
from urllib3.util import Url, parse_url

from convoke.domain.webhooks import Delivery, Method
from convoke.webhooks.signature import sign


class SignedRequest(NamedTuple):
    method: Method
    url: str
    headers: dict[str, str]
    body: str | None


def signed_request(delivery: Delivery, *, retry_count: int, auth_token: str) -> SignedRequest:
    """Return the request of one attempt. A GET request has the parameters in its URL, a POST request in its body."""
    parameters = {**delivery.parameters, "RetryCount": str(retry_count)}
    configured = parse_url(delivery.url)
    url = url_to_send(configured)
    if delivery.method is Method.GET:
        url = f"{url}{'&' if '?' in url else '?'}{urlencode(parameters)}"
        return SignedRequest(delivery.method, url, headers_for(url, {}, auth_token, configured), None)
    headers = headers_for(url, parameters, auth_token, configured)
    return SignedRequest(delivery.method, url, headers, urlencode(parameters))


def url_to_send(url: Url) -> str:
    """Return the URL that is sent and signed.

    The URL is percent-encoded and always has a path. The URL has no credentials and no fragment.
    """
    return url._replace(auth=None, fragment=None, path=url.path or "/").url


def headers_for(url: str, parameters: dict[str, str], auth_token: str, configured: Url) -> dict[str, str]:
    """Return the headers of a request. If the configured URL has credentials, use HTTP Basic authentication."""
    headers = {"X-Twilio-Signature": sign(url, parameters, auth_token)}
    if parameters:
        headers["Content-Type"] = "application/x-www-form-urlencoded; charset=utf-8"
    if configured.auth:
        headers |= urllib3.make_headers(basic_auth=unquote(configured.auth))
    return headers
