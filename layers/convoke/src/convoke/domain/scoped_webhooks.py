"""The webhooks of one conversation (reference, a.6, c.7 and d.7)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime
from enum import StrEnum
from types import MappingProxyType
from typing import Annotated, ClassVar

from pydantic import AfterValidator, BeforeValidator, Field
from pydantic.alias_generators import to_pascal

from convoke.domain.conversations import State
from convoke.domain.errors import (
    ConversationsError,
    InvalidFlowSidError,
    InvalidParameterError,
    InvalidWebhookMethodError,
    InvalidWebhookSettingsError,
    InvalidWebhookTriggerError,
    TooManyTriggersError,
    UnknownWebhookFilterError,
    UnknownWebhookTargetError,
    WebhookFilterMissingError,
    WebhookTargetMissingError,
    WebhookTriggerMissingError,
    WebhookUrlMissingError,
    WebhookUrlTooLongError,
    refusal,
)
from convoke.domain.events import Event, EventType
from convoke.domain.instants import Instant
from convoke.domain.messages import is_index
from convoke.domain.model import Model
from convoke.domain.sids import Prefix, is_sid
from convoke.domain.webhooks import Hook, Method, check_url, parse_method

MAX_WEBHOOKS_PER_CONVERSATION = 5
"""Of one conversation (reference, f.1)."""

MAX_TRIGGERS = 5
MAX_TRIGGER_CHARACTERS = 248
MAX_SCOPED_URL_CHARACTERS = 512
"""Characters (reference, f.1)."""

POST_EVENTS = tuple(event for event in EventType if not event.endswith(("Add", "Update", "Remove")))
"""What a filter may name: those that are told after the change."""


class ScopedTarget(StrEnum):
    WEBHOOK = "webhook"
    TRIGGER = "trigger"
    STUDIO = "studio"


CONFIGURATION: Mapping[ScopedTarget, tuple[str, ...]] = MappingProxyType(
    {
        ScopedTarget.WEBHOOK: ("url", "method", "filters"),
        ScopedTarget.TRIGGER: ("url", "method", "triggers"),
        ScopedTarget.STUDIO: ("flow_sid",),
    }
)
"""What a webhook is configured by. What belongs to another target is ignored, once it is known to be well-formed."""

REQUIRED_CONFIGURATION: Mapping[ScopedTarget, Mapping[str, type[ConversationsError]]] = MappingProxyType(
    {
        ScopedTarget.WEBHOOK: {"url": WebhookUrlMissingError, "filters": WebhookFilterMissingError},
        ScopedTarget.TRIGGER: {"url": WebhookUrlMissingError, "triggers": WebhookTriggerMissingError},
        ScopedTarget.STUDIO: {"flow_sid": InvalidFlowSidError},
    }
)


class ScopedWebhook(Model):
    """A webhook as it is stored. `replay_after` is never shown to clients."""

    account_sid: str
    conversation_sid: str
    sid: str
    target: ScopedTarget
    url: str | None = None
    method: str | None = None
    """As the client spelled it."""
    filters: tuple[EventType, ...] | None = None
    triggers: tuple[str, ...] | None = None
    flow_sid: str | None = None
    replay_after: int | None = None
    """The index after which messages that are there already are told too; None for none of them."""
    date_created: Instant
    date_updated: Instant

    @property
    def configuration(self) -> dict[str, str | list[str]]:
        return self.model_dump(mode="json", include=set(CONFIGURATION[self.target]))

    @property
    def receives_messages(self) -> bool:
        return EventType.MESSAGE_ADDED in (self.filters or ()) or bool(self.triggers)

    def hook(self, event: Event) -> Hook | None:
        """None where it does not want the event; Studio is not there to be called."""
        if self.url is None or not self._wants(event):
            return None
        return Hook(self.sid, self.url, parse_method(self.method))

    def _wants(self, event: Event) -> bool:
        match self.target:
            case ScopedTarget.WEBHOOK:
                return event.type in (self.filters or ())
            case ScopedTarget.TRIGGER:
                return event.type is EventType.MESSAGE_ADDED and self._is_triggered_by(event.payload.get("Body", ""))
            case ScopedTarget.STUDIO:
                return False

    def _is_triggered_by(self, body: str) -> bool:
        """Upper and lower case alike, inside of words too."""
        folded = body.casefold()
        return any(keyword.casefold() in folded for keyword in self.triggers or ())


def hooks_for_event(webhooks: Iterable[ScopedWebhook], event: Event) -> list[Hook]:
    """Those of a conversation that want an event. Of what comes after its closing they hear nothing (d.7)."""
    if event.type is EventType.CONVERSATION_REMOVED and event.payload.get("State") == State.CLOSED:
        return []
    return [hook for webhook in webhooks if (hook := webhook.hook(event))]


def configuration_name(field: str) -> str:
    """The name of a form parameter: `flow_sid` is sent as `Configuration.FlowSid`."""
    return to_pascal(field) if field == "target" else f"Configuration.{to_pascal(field)}"


def parse_scoped_target(value: object) -> ScopedTarget:
    if not value:
        raise WebhookTargetMissingError
    try:
        return ScopedTarget(str(value).lower())
    except ValueError as error:
        raise UnknownWebhookTargetError from error


def check_scoped_url(url: str) -> str | None:
    """Unlike that of an account, it cannot be removed."""
    if not url:
        raise WebhookUrlMissingError
    if len(url) > MAX_SCOPED_URL_CHARACTERS:
        raise WebhookUrlTooLongError
    return check_url(url)


def check_method(method: str) -> str:
    parse_method(method)
    return method


def parse_post_event(value: object) -> EventType:
    if str(value) not in POST_EVENTS:
        raise UnknownWebhookFilterError
    return EventType(str(value))


def without_duplicates(filters: tuple[EventType, ...]) -> tuple[EventType, ...]:
    return tuple(dict.fromkeys(filters))


def check_trigger(trigger: str) -> str:
    if not 1 <= len(trigger) <= MAX_TRIGGER_CHARACTERS:
        raise InvalidWebhookTriggerError
    return trigger


def check_triggers(triggers: tuple[str, ...]) -> tuple[str, ...]:
    if len(triggers) > MAX_TRIGGERS:
        raise TooManyTriggersError
    return triggers


def check_flow_sid(sid: str) -> str:
    if not is_sid(sid, Prefix.FLOW):
        raise InvalidFlowSidError
    return sid


def parse_replay_after(value: object) -> int:
    if not is_index(str(value)):
        raise InvalidParameterError(wanted="a whole number")
    return int(str(value))


Filter = Annotated[EventType, BeforeValidator(parse_post_event)]

Trigger = Annotated[str, AfterValidator(check_trigger)]

CONFIGURATION_ERRORS = (
    WebhookUrlMissingError,
    WebhookUrlTooLongError,
    InvalidWebhookSettingsError,
    InvalidWebhookMethodError,
    UnknownWebhookFilterError,
    InvalidWebhookTriggerError,
    TooManyTriggersError,
    InvalidFlowSidError,
)


class ScopedWebhookParameters(Model):
    """What a client may say of a webhook, whether it creates or updates it."""

    url: Annotated[str, AfterValidator(check_scoped_url)] | None = None
    method: Annotated[str, AfterValidator(check_method)] | None = None
    filters: Annotated[tuple[Filter, ...], AfterValidator(without_duplicates)] | None = None
    triggers: Annotated[tuple[Trigger, ...], AfterValidator(check_triggers)] | None = None
    flow_sid: Annotated[str, AfterValidator(check_flow_sid)] | None = None

    def given_configuration(self, target: ScopedTarget) -> dict[str, object]:
        return self.model_dump(include=set(CONFIGURATION[target]), exclude_unset=True)


class NewScopedWebhook(ScopedWebhookParameters):
    """What a client asks for."""

    order_of_checks: ClassVar[tuple[type[ConversationsError], ...]] = (
        WebhookTargetMissingError,
        UnknownWebhookTargetError,
        *CONFIGURATION_ERRORS,
    )

    target: Annotated[ScopedTarget, BeforeValidator(parse_scoped_target)] = Field(default=None, validate_default=True)
    replay_after: Annotated[int, BeforeValidator(parse_replay_after)] | None = None

    def check_required_configuration(self) -> None:
        """Asked once it is known that there is a conversation: that there is none comes before it."""
        needed = REQUIRED_CONFIGURATION[self.target].items()
        missing = [error(parameter=configuration_name(name)) for name, error in needed if getattr(self, name) is None]
        if missing:
            raise refusal(missing)

    def webhook(self, moment: datetime, **identity: str) -> ScopedWebhook:
        """The webhook as it is stored; `identity` is what the request does not say of it."""
        configuration = self.given_configuration(self.target)
        if "method" in CONFIGURATION[self.target]:
            configuration.setdefault("method", Method.POST)
        return ScopedWebhook.model_validate(
            {
                **configuration,
                **identity,
                "target": self.target,
                "replay_after": self.replay_after,
                "date_created": moment,
                "date_updated": moment,
            }
        )


class ScopedWebhookChange(ScopedWebhookParameters):
    """What an update asks for; a field that was not given stays as it is, as the target always does."""

    order_of_checks: ClassVar[tuple[type[ConversationsError], ...]] = CONFIGURATION_ERRORS

    def applied_to(self, webhook: ScopedWebhook, moment: datetime) -> ScopedWebhook:
        """The same where nothing was given that its target knows."""
        given = self.given_configuration(webhook.target)
        if not given:
            return webhook
        return webhook.model_copy(update={**given, "date_updated": max(moment, webhook.date_updated)})
