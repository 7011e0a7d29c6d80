"""Build the signed HTTP request of a webhook call. See docs/behaviour/webhook-delivery.md#signature."""

from __future__ import annotations

from base64 import b64encode
from typing import NamedTuple
from urllib.parse import unquote_to_bytes, urlencode

from urllib3.util import Url, parse_url

from convoke.domain.webhooks import Delivery, Method
from convoke.webhooks.signature import sign

EVENT_ID_HEADER = "X-Convoke-Event-Id"
"""The header with the id of the event. The event has the same id in the API and on the event bus."""


class SignedRequest(NamedTuple):
    method: Method
    url: str
    headers: dict[str, str]
    body: str | None


def signed_request(delivery: Delivery, *, retry_count: int, auth_token: str) -> SignedRequest:
    """Return the signed request for one attempt of a delivery. `retry_count` is the number of earlier attempts.

    The parameters of the event are in the URL of a GET request, and in the body of a POST request.
    """
    parameters = {**delivery.parameters, "RetryCount": str(retry_count)}
    configured = parse_url(delivery.url)
    url = url_to_send(configured)
    if delivery.method is Method.GET:
        url = f"{url}{'&' if '?' in url else '?'}{urlencode(parameters)}"
        return SignedRequest(delivery.method, url, headers_for(delivery, url, {}, auth_token, configured.auth), None)
    headers = headers_for(delivery, url, parameters, auth_token, configured.auth)
    return SignedRequest(delivery.method, url, headers, urlencode(parameters))


def url_to_send(url: Url) -> str:
    """Return the URL to send and to sign.

    The result is percent-encoded and always has a path. It contains no credentials and no fragment.
    """
    return url._replace(auth=None, fragment=None, path=url.path or "/").url


def headers_for(
    delivery: Delivery, url: str, parameters: dict[str, str], auth_token: str, userinfo: str | None
) -> dict[str, str]:
    """Return the headers of a request, including the signature. `webhooks/client.py` adds the header User-Agent.

    `parameters` are the form fields of a POST request, or empty for a GET request. `userinfo` is the percent-encoded
    text `user:password` from the configured URL. If `userinfo` is not empty, the request has HTTP Basic authentication.

    The credentials are encoded in UTF-8, the only encoding that RFC 7617 lets a server ask for.
    """
    headers = {
        "X-Twilio-Signature": sign(url, parameters, auth_token),
        "I-Twilio-Idempotency-Token": delivery.idempotency_token,
        EVENT_ID_HEADER: delivery.event.id,
    }
    if parameters:
        headers["Content-Type"] = "application/x-www-form-urlencoded; charset=utf-8"
    if userinfo:
        headers["Authorization"] = f"Basic {b64encode(unquote_to_bytes(userinfo)).decode()}"
    return headers
