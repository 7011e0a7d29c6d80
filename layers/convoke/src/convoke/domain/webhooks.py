"""Webhooks: where events are posted to (reference, a.8 and d)."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated
from urllib.parse import urlsplit

from pydantic import AfterValidator, BeforeValidator

from convoke.domain.errors import InvalidParameterError, InvalidWebhookMethodError, InvalidWebhookSettingsError
from convoke.domain.events import Event, EventType
from convoke.domain.instants import Instant
from convoke.domain.model import Model


class Method(StrEnum):
    GET = "GET"
    POST = "POST"


class Target(StrEnum):
    WEBHOOK = "webhook"
    FLEX = "flex"


class WebhookConfiguration(Model):
    """The webhooks of an account. An event that `filters` does not list is not sent."""

    account_sid: str
    method: Method = Method.POST
    filters: tuple[EventType, ...] | None = None
    pre_webhook_url: str | None = None
    post_webhook_url: str | None = None
    target: Target = Target.WEBHOOK

    def wants(self, event: Event) -> bool:
        return bool(event.webhooks and self.post_webhook_url and self.filters and event.type in self.filters)


class ServiceWebhookConfiguration(Model):
    """The webhooks of a service; what was never given is None (reference, a.16)."""

    account_sid: str
    chat_service_sid: str
    method: Method | None = None
    filters: tuple[EventType, ...] | None = None
    pre_webhook_url: str | None = None
    post_webhook_url: str | None = None


class Delivery(Model):
    """An event on its way to one target: the message of one attempt."""

    event: Event
    target: str
    """`account`, or the SID of a conversation's webhook."""
    url: str
    method: Method


class Attempt(Model):
    """One attempt at a delivery, recorded before the call and completed after it."""

    number: int
    url: str
    started_at: Instant
    status: int | None = None
    error: str | None = None
    milliseconds: int | None = None


def parse_method(value: object) -> Method:
    try:
        return Method(str(value).upper())
    except ValueError as error:
        raise InvalidWebhookMethodError from error


def parse_target(value: object) -> Target:
    try:
        return Target(str(value).lower())
    except ValueError as error:
        raise InvalidParameterError from error


def parse_filter(value: object) -> EventType:
    try:
        return EventType(str(value))
    except ValueError as error:
        raise InvalidWebhookSettingsError from error


def check_url(url: str) -> str | None:
    """An absolute HTTP URL; the empty text removes one that was set."""
    if not url:
        return None
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


class WebhookSettingsChange(Model):
    """What an update asks for; a field that was not given stays as it is (look at `model_fields_set`)."""

    method: Annotated[Method, BeforeValidator(parse_method)] | None = None
    filters: tuple[Annotated[EventType, BeforeValidator(parse_filter)], ...] | None = None
    pre_webhook_url: Annotated[str, AfterValidator(check_url)] | None = None
    post_webhook_url: Annotated[str, AfterValidator(check_url)] | None = None


class WebhookConfigurationChange(WebhookSettingsChange):
    """The same for an account."""

    target: Annotated[Target, BeforeValidator(parse_target)] | None = None
