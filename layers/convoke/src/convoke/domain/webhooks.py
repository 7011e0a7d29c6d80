"""The common parts of all webhooks, and the delivery of an event to a webhook.

Webhooks exist at three levels: account (`configuration_webhooks.py`), service (`service_configuration_webhooks.py`) and
conversation (`scoped_webhooks.py`). See docs/behaviour/webhook-delivery.md.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated, NamedTuple, Self
from urllib.parse import urlsplit
from uuid import UUID, uuid5

from pydantic import AfterValidator, BeforeValidator

from convoke.domain.connections import ConnectionSettings, connection_settings
from convoke.domain.errors import InvalidWebhookMethodError, InvalidWebhookSettingsError
from convoke.domain.events import Event, EventType
from convoke.domain.json_schema import string_schema
from convoke.domain.model import Model
from convoke.domain.sids import Prefix, is_sid
from convoke.domain.urls import MAX_URL_CHARACTERS, normal_or_unchanged, normal_url


class Method(StrEnum):
    GET = "GET"
    POST = "POST"


ERROR_LOG = "error-log"
"""The target of a delivery to the error-log URL of an account.

Convoke creates no alert about a failed delivery to this target. The alert would cause a further delivery to the same
URL, and its failure would cause a further alert, without end.
"""


IDEMPOTENCY_NAMESPACE = UUID("0e5e2a53-1d3c-4b6e-9f0a-7a2d3a7e6c15")
"""The namespace of the idempotency tokens (RFC 9562, section 5.5). The value is an arbitrary but fixed UUID."""


def receiver_of(url: str) -> str:
    """Return the parts of a webhook URL that Convoke may log and print: the scheme, host, port and path.

    The user information, the query and the fragment are omitted, because users put secrets into these parts.
    """
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{parts.path}"


class Hook(NamedTuple):
    """The URL that Convoke calls with an event, the webhook that has the URL, and the HTTP method of the call."""

    target: str
    """The webhook that has the URL: `account`, `service`, or the SID of a conversation's webhook."""
    url: str
    method: Method


class Delivery(Model):
    """The delivery of one event to one target. The delivery queue stores this model as JSON."""

    event: Event
    target: str
    """The target of the `Hook` that gets the event. For the error-log URL of an account, the target is `error-log`."""
    url: Annotated[str, AfterValidator(normal_or_unchanged)]
    """The normal form of the URL, with its credentials. A URL without a normal form stays unchanged."""
    method: Method
    replay_sid: str = ""
    """The SID of the event replay that caused the delivery. Empty if the delivery is not a replay."""
    followed_by: Event | None = None
    """The event that continues a message replay. Convoke enqueues the event when this delivery has ended.

    Therefore the webhook gets the messages in order. None if no message replay continues after this delivery.
    """

    @classmethod
    def to(cls, hook: Hook, event: Event) -> Self:
        return cls(event=event, target=hook.target, url=hook.url, method=hook.method)

    @property
    def account_sid(self) -> str:
        return self.event.account_sid

    @property
    def parameters(self) -> dict[str, str]:
        """The parameters of the HTTP request. A conversation's webhook also gets the parameter `WebhookSid`.

        See docs/behaviour/webhook-delivery.md#event-parameters.
        """
        own = {"WebhookSid": self.target} if is_sid(self.target, Prefix.WEBHOOK) else {}
        return {**self.event.payload, **own}

    @property
    def idempotency_token(self) -> str:
        """The value of the header `I-Twilio-Idempotency-Token`.

        All attempts to deliver an event to a target have the same token. Different targets have different tokens,
        because two webhooks can have the same URL.
        """
        return str(uuid5(IDEMPOTENCY_NAMESPACE, f"{self.event.id} {self.target}"))

    @property
    def connection(self) -> ConnectionSettings:
        return connection_settings(self.url)


WANTED_URL = "an absolute http or https URL, without spaces and control characters"

URL_DESCRIPTION = "An absolute URL with http or https. An empty string removes it."


def parse_method(value: object) -> Method:
    try:
        return Method(str(value).upper())
    except ValueError as error:
        raise InvalidWebhookMethodError from error


def parse_filter(value: object) -> EventType:
    try:
        return EventType(str(value))
    except ValueError as error:
        raise InvalidWebhookSettingsError(wanted=f"one of {', '.join(EventType)}") from error


def check_url(url: str) -> str | None:
    """Return the URL, or None if the URL is empty. A client sends an empty string to remove the stored URL.

    Raise an error if the URL is too long, or if Convoke cannot call the URL.
    """
    if not url:
        return None
    if len(url) > MAX_URL_CHARACTERS:
        raise InvalidWebhookSettingsError(wanted=f"at most {MAX_URL_CHARACTERS} characters")
    try:
        normal_url(url)
    except ValueError as error:
        raise InvalidWebhookSettingsError(wanted=WANTED_URL) from error
    return url


RemovableUrl = Annotated[str, AfterValidator(check_url), string_schema(MAX_URL_CHARACTERS, description=URL_DESCRIPTION)]


class WebhookSettingsChange(Model):
    """The parameters of a request that updates the webhooks of an account or a service.

    An update changes only the fields in `model_fields_set`.
    """

    method: Annotated[Method, BeforeValidator(parse_method)] | None = None
    filters: tuple[Annotated[EventType, BeforeValidator(parse_filter)], ...] | None = None
    pre_webhook_url: RemovableUrl | None = None
    post_webhook_url: RemovableUrl | None = None
