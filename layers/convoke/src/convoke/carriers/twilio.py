"""Send copies of messages through Twilio Programmable Messaging. See docs/phones/twilio.md.

A call has no idempotency key. If the answer is lost, Convoke cannot find out whether Twilio accepted the copy. See
https://www.twilio.com/docs/messaging/api/message-resource#create-a-message-resource.
"""

from __future__ import annotations

import json
from urllib.parse import urlencode

import urllib3
from urllib3 import exceptions

from convoke.domain.carriers import (
    CarrierRefusedError,
    CarrierThrottledError,
    CarrierUnavailableError,
    OutboundCopy,
    SentCopy,
)
from convoke.domain.errors import SenderMissingError
from convoke.domain.twilio_statuses import TOO_MANY_QUEUED, reason_of, status_url

API_URL = "https://api.twilio.com"

CONNECT_TIMEOUT_SECONDS = 3.0
READ_TIMEOUT_SECONDS = 10.0

MAX_CONNECTIONS = 32

NOT_SENT = (exceptions.NewConnectionError, exceptions.ConnectTimeoutError)
"""The errors that occur before any part of the request is sent to Twilio."""

NOT_ACCEPTED = frozenset({401, 403, 404, 503})
"""The status codes which mean that Twilio did not process the request, but may process it later.

After 401, 403 or 404, the next attempt may use new credentials. With 503, a server is unable to handle a request at
present (RFC 9110, section 15.6.4). After any other 5xx status code, Twilio may have accepted the copy.
"""

TOO_MANY_REQUESTS = 429


class TwilioAnswerError(Exception):
    """Twilio failed, or the answer cannot be parsed. Twilio may have accepted the copy."""


class TwilioCarrier:
    """Implements `Carrier`. Twilio's API offers no way to send a group MMS."""

    def __init__(self, public_url: str | None, api_url: str = API_URL) -> None:
        """`public_url` is the base URL to which Twilio reports statuses. If None, Twilio reports no statuses."""
        self._public_url = public_url
        self._api_url = api_url
        self._pool = urllib3.PoolManager(
            maxsize=MAX_CONNECTIONS,
            retries=False,
            timeout=urllib3.Timeout(connect=CONNECT_TIMEOUT_SECONDS, read=READ_TIMEOUT_SECONDS),
        )

    @property
    def sends_group_mms(self) -> bool:
        return False

    def send(self, copy: OutboundCopy) -> SentCopy:
        if copy.secret is None:
            raise CarrierRefusedError(SenderMissingError, "the sender was deleted")
        form = [("From", copy.sender.address), ("To", copy.address), ("Body", copy.text)]
        # Twilio cannot use relative links. Links are relative if the API has no public URL.
        form += [("MediaUrl", url) for url in copy.media_urls if "://" in url]
        if self._public_url:
            form.append(("StatusCallback", status_url(self._public_url, copy.sender, copy.receipt)))
        headers = urllib3.make_headers(basic_auth=f"{copy.secret.account_sid}:{copy.secret.auth_token}")
        headers["Content-Type"] = "application/x-www-form-urlencoded"
        url = f"{self._api_url}/2010-04-01/Accounts/{copy.secret.account_sid}/Messages.json"
        try:
            response = self._pool.request("POST", url, body=urlencode(form), headers=headers, redirect=False)
        except NOT_SENT as error:
            raise CarrierUnavailableError(type(error).__name__) from error
        return _outcome(response.status, response.data)


def _outcome(status: int, body: bytes) -> SentCopy:
    """Return the copy if Twilio accepted it. Otherwise raise the matching error."""
    try:
        content = json.loads(body)
        code = int(content.get("code") or 0)
        sid = str(content.get("sid") or "")
    except (ValueError, AttributeError) as error:
        raise TwilioAnswerError(f"the status {status} without a JSON object") from error
    if 200 <= status < 300 and sid:
        return SentCopy(sid)
    if status == TOO_MANY_REQUESTS or code == TOO_MANY_QUEUED:
        raise CarrierThrottledError(f"the code {code}")
    if status in NOT_ACCEPTED:
        raise CarrierUnavailableError(f"the status {status} and the code {code}")
    if 400 <= status < 500:
        raise CarrierRefusedError(reason_of(code), f"the code {code}")
    raise TwilioAnswerError(f"the status {status}")
