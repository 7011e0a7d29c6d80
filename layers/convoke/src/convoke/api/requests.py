"""A request as handlers see it, and the tree of URLs it came in by."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from math import inf
from typing import Any

from convoke.api.form import Form, body_of, parse_form
from convoke.domain.accounts import Account
from convoke.domain.errors import InvalidParameterError
from convoke.domain.services import Service

TWILIO_PREFIX = "/v1"

CONVOKE_PREFIX = "/convoke/v1"
"""Where what no API of Twilio's has stands."""

WEBHOOK_ENABLED = "X-Twilio-Webhook-Enabled"


@dataclass(frozen=True)
class Request:
    """A request of an account that has proved who it is."""

    event: Mapping[str, Any]
    account: Account
    seconds_left: Callable[[], float] = field(default=lambda: inf, kw_only=True)
    """Until whoever handed the request over waits no longer for its answer."""

    @cached_property
    def form(self) -> Form:
        return parse_form(self.event)

    @property
    def body(self) -> bytes:
        return body_of(self.event)

    @property
    def headers(self) -> Mapping[str, str]:
        """With names in lower case, as the gateway hands them over."""
        headers: Mapping[str, str] = self.event.get("headers") or {}
        return headers

    @property
    def query(self) -> Mapping[str, str]:
        """Of a repeated name the gateway joins the values by commas."""
        query: Mapping[str, str] = self.event.get("queryStringParameters") or {}
        return query

    @property
    def origin(self) -> str:
        """Scheme, host and port as the client spelled them. The gateway vouches for the forwarded header."""
        return f"{self.headers.get('x-forwarded-proto', 'https')}://{self.headers.get('host', 'localhost')}"

    @property
    def notify_webhooks(self) -> bool:
        """Whether the request asks for webhooks (reference, d.2)."""
        match self.headers.get(WEBHOOK_ENABLED.lower(), "false").lower():
            case "true":
                return True
            case "false":
                return False
            case _:
                raise InvalidParameterError(parameter=WEBHOOK_ENABLED, wanted="true or false")

    def url(self, path: str, version: str = TWILIO_PREFIX) -> str:
        """The absolute URL of an account-level path."""
        return f"{self.origin}{version}{path}"


@dataclass(frozen=True)
class ServiceRequest(Request):
    """A request within a service, which its URL names, or else the account's default service (reference, a.0)."""

    service: Service
    short: bool

    def url(self, path: str, version: str = TWILIO_PREFIX) -> str:
        """The absolute URL of a path in the tree that the request came in by."""
        return super().url(path if self.short else f"/Services/{self.service.sid}{path}", version)
