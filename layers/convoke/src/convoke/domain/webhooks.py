"""Webhooks: where events are posted to (reference, a.8 and d)."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum
from typing import Annotated, NamedTuple, Self
from urllib.parse import urlsplit

from pydantic import AfterValidator, BeforeValidator

from convoke.domain.connections import ConnectionSettings, connection_settings
from convoke.domain.errors import InvalidParameterError, InvalidWebhookMethodError, InvalidWebhookSettingsError
from convoke.domain.events import LEDGER_LIFETIME, AnyEventType, Event, EventType
from convoke.domain.instants import Instant
from convoke.domain.model import Model
from convoke.domain.sids import Prefix, is_sid


class Method(StrEnum):
    GET = "GET"
    POST = "POST"


class Target(StrEnum):
    WEBHOOK = "webhook"
    FLEX = "flex"


ERROR_LOG = "error-log"
"""The target of alerts. What fails there makes no alert of its own, or one would follow from the other for ever."""


class ConfigurationWebhooks(Model):
    """The webhooks of an account. An event that `filters` does not list is not sent."""

    account_sid: str
    method: Method = Method.POST
    filters: tuple[EventType, ...] | None = None
    pre_webhook_url: str | None = None
    post_webhook_url: str | None = None
    target: Target = Target.WEBHOOK


class ServiceConfigurationWebhooks(Model):
    """The webhooks of a service; what was never given is None (reference, a.16)."""

    account_sid: str
    chat_service_sid: str
    method: Method | None = None
    filters: tuple[EventType, ...] | None = None
    pre_webhook_url: str | None = None
    post_webhook_url: str | None = None


class Hook(NamedTuple):
    """Where events go to."""

    target: str
    """`account`, `service`, or the SID of a conversation's webhook."""
    url: str
    method: Method


class WebhookLevels(NamedTuple):
    """What the account and a service of it have configured. A service with a URL silences the account (d.1)."""

    account: ConfigurationWebhooks
    service: ServiceConfigurationWebhooks

    def pre_hook(self, event_type: AnyEventType) -> Hook | None:
        """Who is asked before a change."""
        return self._hook(event_type, self._level.pre_webhook_url)

    def post_hook(self, event_type: AnyEventType) -> Hook | None:
        """Who is told after it."""
        return self._hook(event_type, self._level.post_webhook_url)

    @property
    def _level(self) -> ConfigurationWebhooks | ServiceConfigurationWebhooks:
        is_configured = self.service.pre_webhook_url or self.service.post_webhook_url
        return self.service if is_configured else self.account

    def _hook(self, event_type: AnyEventType, url: str | None) -> Hook | None:
        level = self._level
        if not url or event_type not in (level.filters or ()):
            return None
        return Hook("service" if level is self.service else "account", url, level.method or Method.POST)


class Delivery(Model):
    """An event on its way to one target: the message of one attempt."""

    event: Event
    target: str
    """As of a hook."""
    url: str
    method: Method
    replay_sid: str = ""
    """Of the replay that it belongs to; empty the first time."""

    @classmethod
    def to(cls, hook: Hook, event: Event) -> Self:
        return cls(event=event, target=hook.target, url=hook.url, method=hook.method)

    @property
    def account_sid(self) -> str:
        return self.event.account_sid

    @property
    def parameters(self) -> dict[str, str]:
        """What the target is sent: a webhook of a conversation is told which one it is (reference, d.3)."""
        own = {"WebhookSid": self.target} if is_sid(self.target, Prefix.WEBHOOK) else {}
        return {**self.event.payload, **own}

    @property
    def connection(self) -> ConnectionSettings:
        return connection_settings(self.url)


class NewEventReplay(Model):
    """What a client asks for: to tell everybody who is configured to be told, or one target of them."""

    target: str | None = None


class EventAttempt(Model):
    """One attempt at a delivery, recorded before the call and completed after it."""

    event_id: str
    replay_sid: str
    target: str
    number: int
    method: Method
    url: str
    started_at: Instant
    status: int | None = None
    error: str | None = None
    milliseconds: int | None = None
    answer: str | None = None
    """How what the receiver answered begins."""

    @classmethod
    def begun(cls, delivery: Delivery, number: int, at: datetime) -> Self:
        return cls(
            event_id=delivery.event.id,
            replay_sid=delivery.replay_sid,
            target=delivery.target,
            number=number,
            method=delivery.method,
            url=delivery.url,
            started_at=at,
        )

    @property
    def position(self) -> str:
        """What tells it from the other attempts at the event: they are in the order of replays, targets, numbers."""
        return f"{self.replay_sid}#{self.target}#{self.number:02}"

    @property
    def date_expires(self) -> datetime:
        return self.started_at + LEDGER_LIFETIME

    def completed(self, status: int | None, error: str | None, answer: bytes, at: datetime) -> Self:
        milliseconds = int((at - self.started_at).total_seconds() * 1000)
        text = answer[:MAX_STORED_ANSWER_BYTES].decode(errors="replace") or None
        update = {"status": status, "error": error, "milliseconds": milliseconds, "answer": text}
        return self.model_copy(update=update)


MAX_STORED_ANSWER_BYTES = 500
"""Bytes of an answer that are kept."""


def parse_method(value: object) -> Method:
    try:
        return Method(str(value).upper())
    except ValueError as error:
        raise InvalidWebhookMethodError from error


def parse_target(value: object) -> Target:
    try:
        return Target(str(value).lower())
    except ValueError as error:
        raise InvalidParameterError(wanted="webhook or flex") from error


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


class ConfigurationWebhooksChange(WebhookSettingsChange):
    """The same for an account."""

    target: Annotated[Target, BeforeValidator(parse_target)] | None = None
