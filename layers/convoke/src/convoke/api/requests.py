"""The request objects for handlers.

A `CarrierRequest` contains the gateway event. A `Request` adds the account, and a `ServiceRequest` adds the service.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from math import inf
from typing import Any, Protocol
from urllib.parse import parse_qsl

from convoke.api.form import Form, decode_body, parse_form
from convoke.domain.accounts import Account
from convoke.domain.errors import InvalidParameterError
from convoke.domain.events import Origin
from convoke.domain.services import Service

TWILIO_PREFIX = "/v1"

CONVOKE_PREFIX = "/convoke/v1"
"""The prefix of most paths that only Convoke has."""

REST_PREFIX = "/2010-04-01"
"""The prefix of the paths in Twilio's API `2010-04-01`. Clients manage API keys under this prefix."""

WEBHOOK_ENABLED = "X-Twilio-Webhook-Enabled"


def request_origin(headers: Mapping[str, str]) -> str:
    """Return the origin that the client called: the scheme, the host and the port."""
    # A client cannot forge the header x-forwarded-proto. The gateway sets it, or takes it from a trusted proxy.
    return f"{headers.get('x-forwarded-proto', 'https')}://{headers.get('host', 'localhost')}"


def base_url(event: Mapping[str, Any], public_url: str | None) -> str:
    """Return the base URL of the API, without the version prefix.

    If `public_url` is None, return the origin that the client called. An operator sets `public_url` if a proxy in front
    of the gateway changes the host or the path.
    """
    return request_origin(event.get("headers") or {}) if public_url is None else public_url


class InvocationContext(Protocol):
    """The part of Lambda's context object that the API uses."""

    @property
    def aws_request_id(self) -> str: ...

    def get_remaining_time_in_millis(self) -> int: ...


@dataclass(frozen=True)
class CarrierRequest:
    """The part of a request that does not depend on an account.

    The handlers of carrier routes get this object, because a carrier sends no credentials.
    """

    event: Mapping[str, Any]
    public_url: str | None = field(default=None, kw_only=True)
    """The base URL that clients use. If None, the headers determine the base URL."""
    path_delimiters: str = field(default="", kw_only=True)
    """The characters that new unique names and identities must not contain. See `Edges.path_delimiters`."""

    @cached_property
    def form(self) -> Form:
        return parse_form(self.event, self.path_delimiters)

    @cached_property
    def query_form(self) -> Form:
        """The query parameters. A list parameter such as `Identity` can have several values."""
        # The gateway's `queryStringParameters` joins the values of a repeated parameter with commas.
        return Form(parse_qsl(self.event.get("rawQueryString", ""), keep_blank_values=True))

    @property
    def headers(self) -> Mapping[str, str]:
        """The headers. The gateway converts all header names to lower case."""
        headers: Mapping[str, str] = self.event.get("headers") or {}
        return headers

    @property
    def base_url(self) -> str:
        return base_url(self.event, self.public_url)

    @property
    def called_url(self) -> str:
        """The URL that the client called, including the query."""
        query = self.event.get("rawQueryString", "")
        return f"{self.base_url}{self.event['rawPath']}{f'?{query}' if query else ''}"


@dataclass(frozen=True)
class Request(CarrierRequest):
    """A request from an authenticated account."""

    account: Account
    identity: str | None = field(default=None, kw_only=True)
    """The identity of the chat user who sends the request. None if no chat user sends it."""
    seconds_left: Callable[[], float] = field(default=lambda: inf, kw_only=True)
    """Returns how many seconds are left before the Lambda invocation times out.

    Only a `ServiceRequest` can wait for its result (`Prefer: wait`). For any other request, the function returns
    infinity. On the embedded engine, requests have no time limit. There, the function returns a constant for a
    `ServiceRequest`.
    """

    @property
    def body(self) -> bytes:
        return decode_body(self.event)

    @cached_property
    def query(self) -> Mapping[str, str]:
        """The query parameters. If the client repeats a parameter, the result contains only the last value."""
        return self.query_form.last_values()

    @property
    def notify_webhooks(self) -> bool:
        """Whether webhooks get the events of this request. Raises InvalidParameterError if the header is invalid.

        See docs/behaviour/webhook-delivery.md#what-triggers-webhooks.
        """
        match self.headers.get(WEBHOOK_ENABLED.lower(), "false").lower():
            case "true":
                return True
            case "false":
                return False
            case _:
                raise InvalidParameterError(parameter=WEBHOOK_ENABLED, wanted="true or false")

    @property
    def origin(self) -> Origin:
        return Origin(notify_webhooks=self.notify_webhooks)

    def url(self, path: str, version: str = TWILIO_PREFIX) -> str:
        """Return the absolute URL of a path. `version` is the prefix of the path, such as `/v1`."""
        return f"{self.base_url}{version}{path}"


@dataclass(frozen=True)
class ServiceRequest(Request):
    """A request to the service in the path (`/Services/{sid}/...`), or to the account's default service.

    See docs/behaviour/requests-and-answers.md#two-trees.
    """

    service: Service
    service_in_path: bool

    def url(self, path: str, version: str = TWILIO_PREFIX) -> str:
        """Return the absolute URL of a path.

        If the request's path starts with `/Services/{sid}`, the URL also contains this prefix.
        """
        return super().url(f"/Services/{self.service.sid}{path}" if self.service_in_path else path, version)
