"""The common parts of all webhooks, and the delivery of an event to a webhook.

Webhooks exist at three levels: account (`configuration_webhooks.py`), service (`service_configuration_webhooks.py`) and
conversation (`scoped_webhooks.py`). See docs/behaviour/webhook-delivery.md.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated, NamedTuple, Self
from urllib.parse import urlsplit

from pydantic import AfterValidator, BeforeValidator, WithJsonSchema

from convoke.domain.connections import ConnectionSettings, connection_settings
from convoke.domain.errors import InvalidWebhookMethodError, InvalidWebhookSettingsError
from convoke.domain.events import Event, EventType
from convoke.domain.model import Model
from convoke.domain.sids import Prefix, is_sid


class Method(StrEnum):
    GET = "GET"
    POST = "POST"


ERROR_LOG = "error-log"
"""The target of a delivery to the error-log URL of an account.

If such a delivery fails, Convoke creates no alert. An alert would cause another delivery to the error-log URL. If that
delivery failed too, Convoke would create another alert, without end.
"""


def receiver_of(url: str) -> str:
    """Return the scheme, host and path of a webhook URL.

    Users put secrets into the other parts of the URL: the user information, the query and the fragment.
    """
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{parts.path}"


class Hook(NamedTuple):
    """A receiver of events: the URL that Convoke calls, and the webhook that has the URL."""

    target: str
    """The webhook that has the URL: `account`, `service`, or the SID of a webhook of a conversation."""
    url: str
    method: Method


class Delivery(Model):
    """The delivery of one event to one target. The delivery queue stores this model as JSON."""

    event: Event
    target: str
    """The target of the `Hook`. For the error-log URL of an account, the target is `error-log`."""
    url: str
    method: Method
    replay_sid: str = ""
    """The SID of the event replay that caused the delivery. Empty if the delivery is not a replay."""

    @classmethod
    def to(cls, hook: Hook, event: Event) -> Self:
        return cls(event=event, target=hook.target, url=hook.url, method=hook.method)

    @property
    def account_sid(self) -> str:
        return self.event.account_sid

    @property
    def parameters(self) -> dict[str, str]:
        """The parameters of the HTTP request. A webhook of a conversation also gets the parameter `WebhookSid`.

        See docs/behaviour/webhook-delivery.md#event-parameters.
        """
        own = {"WebhookSid": self.target} if is_sid(self.target, Prefix.WEBHOOK) else {}
        return {**self.event.payload, **own}

    @property
    def connection(self) -> ConnectionSettings:
        return connection_settings(self.url)


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
        raise InvalidWebhookSettingsError from error


def check_url(url: str) -> str | None:
    """Return the URL. Return None for an empty string: the client sends an empty string to remove the stored URL.

    Raise an error if the URL is not an absolute http or https URL.
    """
    if not url:
        return None
    # `urlsplit` removes tabs and line breaks without an error. Therefore this check comes before `urlsplit`.
    if any(character <= " " or character == "\x7f" for character in url):
        raise InvalidWebhookSettingsError
    try:
        parts = urlsplit(url)
        usable = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError as error:
        raise InvalidWebhookSettingsError from error
    if not usable:
        raise InvalidWebhookSettingsError
    return url


RemovableUrl = Annotated[
    str, AfterValidator(check_url), WithJsonSchema({"type": "string", "description": URL_DESCRIPTION})
]


class WebhookSettingsChange(Model):
    """The parameters of a request that updates the webhooks of an account or of a service.

    If a field is not in `model_fields_set`, the stored value of the field does not change.
    """

    method: Annotated[Method, BeforeValidator(parse_method)] | None = None
    filters: tuple[Annotated[EventType, BeforeValidator(parse_filter)], ...] | None = None
    pre_webhook_url: RemovableUrl | None = None
    post_webhook_url: RemovableUrl | None = None
