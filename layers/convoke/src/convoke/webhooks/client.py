"""Calls webhooks: one signed request, one answer."""

from __future__ import annotations

from urllib.parse import urldefrag, urlencode

import urllib3
from urllib3 import exceptions

from convoke.domain.webhooks import Delivery, Method
from convoke.operations.ports import WebhookUnreachableError
from convoke.webhooks.signature import sign

TIME_LIMIT = 5.0
"""Seconds a call may take (reference, d.5)."""

LONGEST_READ = 4096
"""Bytes of an answer that are read; a connection whose answer is longer is not used again."""

USER_AGENT = "Convoke/1.0"

CONNECTIONS = 32
"""Kept open, over all receivers."""


class WebhookHttpClient:
    """A WebhookClient on a pool of connections. Redirects are not followed."""

    def __init__(self) -> None:
        self._pool = urllib3.PoolManager(
            num_pools=CONNECTIONS,
            maxsize=CONNECTIONS,
            retries=False,
            timeout=urllib3.Timeout(total=TIME_LIMIT),
        )

    def call(self, delivery: Delivery, *, retry_count: int, auth_token: str) -> int:
        """The HTTP status of the answer. Raises WebhookUnreachableError where none came."""
        parameters = {**delivery.event.payload, "RetryCount": str(retry_count)}
        url, _ = urldefrag(delivery.url)
        try:
            if delivery.method is Method.GET:
                return self._get(f"{url}{'&' if '?' in url else '?'}{urlencode(parameters)}", auth_token)
            return self._post(url, parameters, auth_token)
        except exceptions.TimeoutError as error:
            raise WebhookUnreachableError(f"no answer within {TIME_LIMIT:.0f} s") from error
        except exceptions.HTTPError as error:
            raise WebhookUnreachableError(f"no connection ({type(error).__name__})") from error

    def _get(self, url: str, auth_token: str) -> int:
        return self._status("GET", url, None, {"X-Twilio-Signature": sign(url, {}, auth_token)})

    def _post(self, url: str, parameters: dict[str, str], auth_token: str) -> int:
        headers = {
            "Content-Type": "application/x-www-form-urlencoded; charset=utf-8",
            "X-Twilio-Signature": sign(url, parameters, auth_token),
        }
        return self._status("POST", url, urlencode(parameters), headers)

    def _status(self, method: str, url: str, body: str | None, headers: dict[str, str]) -> int:
        """Only the status is of interest: of a body no more is read than comes with it."""
        sent = {"User-Agent": USER_AGENT, **headers}
        response = self._pool.request(method, url, body=body, headers=sent, preload_content=False)
        response.read1(LONGEST_READ)
        response.close()
        return response.status
