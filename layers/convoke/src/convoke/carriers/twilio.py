"""Send copies of messages through Twilio Programmable Messaging. See docs/phones/twilio.md.

A call has no idempotency key. If the answer is lost, Convoke cannot find out whether Twilio accepted the copy. See
https://www.twilio.com/docs/messaging/api/message-resource#create-a-message-resource.
"""

from __future__ import annotations

import json
from urllib.parse import urlencode

import urllib3

from convoke.domain.carriers import (
    CarrierOutcomeUnknownError,
    CarrierRefusedError,
    CarrierThrottledError,
    CarrierUnavailableError,
    OutboundCopy,
    SentCopy,
)
from convoke.domain.connections import ConnectionSettings
from convoke.domain.errors import SenderMissingError
from convoke.domain.receivers import ReceiverRules
from convoke.domain.twilio_statuses import TOO_MANY_QUEUED, reason_of, status_url
from convoke.webhooks.answers import WebhookUnreachableError
from convoke.webhooks.client import BoundedHttpClient, read_body

API_URL = "https://api.twilio.com"

SETTINGS = ConnectionSettings(retries=0, connect=3.0, read=10.0, total=13.0)

MAX_ANSWER_BYTES = 64 * 1024
"""The maximum number of bytes to read of an answer. An answer of Twilio has about 1 KB."""

NOT_ACCEPTED = frozenset({401, 403, 404, 503})
"""The status codes, except 429, that mean: Twilio did not accept the copy, but may accept it later.

After 401, 403 or 404, a later request may use new credentials. A server sends 503 if it cannot handle the request at
present (RFC 9110, section 15.6.4). After any other 5xx status code, Twilio may have accepted the copy.
"""

TOO_MANY_REQUESTS = 429


class TwilioCarrier:
    """Implements `Carrier`. Twilio's API offers no way to send a group MMS."""

    def __init__(self, public_url: str | None, api_url: str = API_URL) -> None:
        """Create the carrier. `public_url` is the base URL to which Twilio reports the status of each copy.

        If `public_url` is None, Twilio reports no statuses.
        """
        self._public_url = public_url
        self._api_url = api_url
        self._http = BoundedHttpClient(ReceiverRules())

    @property
    def sends_group_mms(self) -> bool:
        return False

    def cut(self) -> None:
        """End all calls in progress. Twilio may have accepted the copies of these calls."""
        self._http.cut()

    def send(self, copy: OutboundCopy) -> SentCopy:
        if copy.secret is None:
            raise CarrierRefusedError(SenderMissingError, "the sender was deleted")
        form = [("From", copy.sender.address), ("To", copy.address), ("Body", copy.text)]
        # Without a public URL of the API, the links are relative. Omit relative links, because Twilio cannot use them.
        form += [("MediaUrl", each.url) for each in copy.media if "://" in each.url]
        if self._public_url:
            form.append(("StatusCallback", status_url(self._public_url, copy.sender, copy.receipt)))
        headers = urllib3.make_headers(basic_auth=f"{copy.secret.account_sid}:{copy.secret.auth_token}")
        headers["Content-Type"] = "application/x-www-form-urlencoded"
        url = f"{self._api_url}/2010-04-01/Accounts/{copy.secret.account_sid}/Messages.json"
        try:
            with self._http.call_under_way(url, SETTINGS):
                response = self._http.request("POST", url, headers, SETTINGS, urlencode(form))
                return _outcome(response.status, read_body(response, MAX_ANSWER_BYTES))
        except WebhookUnreachableError as error:
            if error.is_sent:
                raise CarrierOutcomeUnknownError(str(error)) from error
            raise CarrierUnavailableError(str(error)) from error


def _outcome(status: int, body: bytes) -> SentCopy:
    """Return the SID that Twilio gave to the copy, if Twilio accepted the copy.

    Otherwise raise the carrier error that matches the answer, or CarrierOutcomeUnknownError if Twilio may have accepted
    the copy.
    """
    try:
        content = json.loads(body)
        code = int(content.get("code") or 0)
        sid = str(content.get("sid") or "")
    except (ValueError, AttributeError) as error:
        raise CarrierOutcomeUnknownError(f"the status {status} without a JSON object") from error
    if 200 <= status < 300 and sid:
        return SentCopy(sid)
    if status == TOO_MANY_REQUESTS or code == TOO_MANY_QUEUED:
        raise CarrierThrottledError(f"the code {code}")
    if status in NOT_ACCEPTED:
        raise CarrierUnavailableError(f"the status {status} and the code {code}")
    if 400 <= status < 500:
        raise CarrierRefusedError(reason_of(code), f"the code {code}")
    raise CarrierOutcomeUnknownError(f"the status {status}")
