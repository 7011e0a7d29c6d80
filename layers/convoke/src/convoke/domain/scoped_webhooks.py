"""Scoped webhooks: the webhooks that receive the events of a single conversation.

See docs/behaviour/scoped-webhooks.md.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime
from enum import StrEnum
from types import MappingProxyType
from typing import Annotated, ClassVar

from pydantic import AfterValidator, BeforeValidator, Field, WithJsonSchema

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
from convoke.domain.events import POST_EVENTS, Event, EventType
from convoke.domain.instants import Instant
from convoke.domain.json_schema import IN_EITHER_CASE, pattern_schema, sid_schema, string_schema, word_schema
from convoke.domain.messages import INDEX_PATTERN, is_index
from convoke.domain.model import Model
from convoke.domain.sids import Prefix, is_sid
from convoke.domain.webhooks import Hook, Method, check_url, parse_method

MAX_WEBHOOKS_PER_CONVERSATION = 5
"""The maximum number of webhooks of a conversation. operations/scoped_webhooks.py checks this maximum."""

MAX_TRIGGERS = 5
MAX_TRIGGER_CHARACTERS = 248
MAX_SCOPED_URL_CHARACTERS = 512


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
"""Maps each target to the parameters that a webhook with this target uses.

Convoke validates all parameters of a request, but stores only the parameters that the webhook uses.
"""

REQUIRED_CONFIGURATION: Mapping[ScopedTarget, Mapping[str, type[ConversationsError]]] = MappingProxyType(
    {
        ScopedTarget.WEBHOOK: {"url": WebhookUrlMissingError, "filters": WebhookFilterMissingError},
        ScopedTarget.TRIGGER: {"url": WebhookUrlMissingError, "triggers": WebhookTriggerMissingError},
        ScopedTarget.STUDIO: {"flow_sid": InvalidFlowSidError},
    }
)


class ScopedWebhook(Model):
    """A stored webhook of a conversation. Responses do not contain `replay_after`."""

    account_sid: str
    conversation_sid: str
    sid: str
    target: ScopedTarget
    url: str | None = None
    method: str | None = None
    """The HTTP method as the client wrote it, in upper or lower case."""
    filters: tuple[EventType, ...] | None = None
    triggers: tuple[str, ...] | None = None
    flow_sid: str | None = None
    replay_after: int | None = None
    """The webhook also gets the existing messages whose index is at least this number.

    None means that the webhook gets only messages that are newer than the webhook.
    """
    date_created: Instant
    date_updated: Instant

    @property
    def configuration(self) -> dict[str, str | list[str]]:
        return self.model_dump(mode="json", include=set(CONFIGURATION[self.target]))

    @property
    def receives_messages(self) -> bool:
        """Whether the webhook can receive the event `onMessageAdded`."""
        return EventType.MESSAGE_ADDED in (self.filters or ()) or bool(self.triggers)

    def hook(self, event: Event) -> Hook | None:
        """Return the URL, the method and the SID of this webhook, or None if this webhook does not receive the event.

        A webhook with the target `studio` receives no events, because Convoke does not call Studio flows.
        """
        if self.url is None or not self._accepts(event):
            return None
        return Hook(self.sid, self.url, parse_method(self.method))

    def _accepts(self, event: Event) -> bool:
        match self.target:
            case ScopedTarget.WEBHOOK:
                return event.type in (self.filters or ())
            case ScopedTarget.TRIGGER:
                return event.type is EventType.MESSAGE_ADDED and self._is_triggered_by(event.payload.get("Body", ""))
            case ScopedTarget.STUDIO:
                return False

    def _is_triggered_by(self, body: str) -> bool:
        """Return whether the body contains a trigger. Case does not matter. A trigger can also be a part of a word."""
        folded = body.casefold()
        return any(keyword.casefold() in folded for keyword in self.triggers or ())


def hooks_for_event(webhooks: Iterable[ScopedWebhook], event: Event) -> list[Hook]:
    """Return the receivers of an event. `webhooks` are the webhooks of the conversation that the event is about.

    After the deletion of a closed conversation, no webhook of the conversation receives the event
    `onConversationRemoved`. See docs/behaviour/scoped-webhooks.md#delivery.
    """
    if event.type is EventType.CONVERSATION_REMOVED and event.payload.get("State") == State.CLOSED:
        return []
    return [hook for webhook in webhooks if (hook := webhook.hook(event))]


def parse_scoped_target(value: object) -> ScopedTarget:
    if not value:
        raise WebhookTargetMissingError
    try:
        return ScopedTarget(str(value).lower())
    except ValueError as error:
        raise UnknownWebhookTargetError from error


def check_scoped_url(url: str) -> str | None:
    """Return the URL. Raise an error if the URL is empty or too long, or if Convoke cannot call the URL.

    Only the webhooks of an account or a service accept an empty URL.
    """
    if not url:
        raise WebhookUrlMissingError
    if len(url) > MAX_SCOPED_URL_CHARACTERS:
        raise WebhookUrlTooLongError
    return check_url(url)


def check_method(method: str) -> str:
    """Return the method unchanged. The method must be GET or POST, but can be in upper or lower case."""
    parse_method(method)
    return method


def parse_post_event(value: object) -> EventType:
    if str(value) not in POST_EVENTS:
        raise UnknownWebhookFilterError(wanted=f"one of the post-events {', '.join(POST_EVENTS)}")
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
        raise InvalidParameterError(wanted="an integer of 0 or more")
    return int(str(value))


Filter = Annotated[EventType, BeforeValidator(parse_post_event), word_schema(POST_EVENTS)]

Filters = Annotated[tuple[Filter, ...], AfterValidator(without_duplicates)]

Trigger = Annotated[str, AfterValidator(check_trigger)]

Triggers = Annotated[
    tuple[Trigger, ...],
    AfterValidator(check_triggers),
    WithJsonSchema(
        {
            "type": "array",
            "maxItems": MAX_TRIGGERS,
            "items": {"type": "string", "minLength": 1, "maxLength": MAX_TRIGGER_CHARACTERS},
        }
    ),
]

ScopedUrl = Annotated[
    str,
    AfterValidator(check_scoped_url),
    string_schema(MAX_SCOPED_URL_CHARACTERS, min_characters=1, description="An absolute URL with http or https."),
]

SpelledMethod = Annotated[str, AfterValidator(check_method), word_schema(Method, IN_EITHER_CASE)]

FlowSid = Annotated[str, AfterValidator(check_flow_sid), sid_schema(Prefix.FLOW)]

ReplayAfter = Annotated[
    int,
    BeforeValidator(parse_replay_after),
    pattern_schema(INDEX_PATTERN, "The webhook also gets the existing messages from this index on."),
]

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
    """The common parameters of create requests and update requests."""

    url: ScopedUrl | None = None
    method: SpelledMethod | None = None
    filters: Filters | None = None
    triggers: Triggers | None = None
    flow_sid: FlowSid | None = None

    def given_configuration(self, target: ScopedTarget) -> dict[str, object]:
        """Return the fields that the request sets, by name. Leave out fields that the target does not use."""
        return self.model_dump(include=set(CONFIGURATION[target]), exclude_unset=True)


class NewScopedWebhook(ScopedWebhookParameters):
    """The parameters of a request that creates a webhook."""

    order_of_checks: ClassVar[tuple[type[ConversationsError], ...]] = (
        WebhookTargetMissingError,
        UnknownWebhookTargetError,
        *CONFIGURATION_ERRORS,
    )

    # With `validate_default`, a missing target causes the same error as an empty target.
    target: Annotated[ScopedTarget, BeforeValidator(parse_scoped_target)] = Field(default=None, validate_default=True)
    replay_after: ReplayAfter | None = None

    def check_required_configuration(self) -> None:
        """Raise an error if the target requires a parameter that the request does not contain.

        This method is not a model validator, because Convoke must first find the conversation. If the conversation does
        not exist, the client gets NotFoundError and not an error of this method.
        """
        required = REQUIRED_CONFIGURATION[self.target].items()
        missing = [error(field=("configuration", name)) for name, error in required if getattr(self, name) is None]
        if missing:
            raise refusal(missing)

    def webhook(self, moment: datetime, **identity: str) -> ScopedWebhook:
        """Return the webhook to store. `identity` contains its SID and the SIDs of the account and the conversation."""
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
    """The parameters of a request that updates a webhook. The target of a webhook cannot change.

    An update changes the fields in `model_fields_set` that the webhook's target uses, and `date_updated`.
    """

    order_of_checks: ClassVar[tuple[type[ConversationsError], ...]] = CONFIGURATION_ERRORS

    def applied_to(self, webhook: ScopedWebhook, moment: datetime) -> ScopedWebhook:
        """Return the changed webhook.

        If the request contains no parameter that the webhook's target uses, return `webhook` unchanged.
        """
        given = self.given_configuration(webhook.target)
        if not given:
            return webhook
        return webhook.model_copy(update={**given, "date_updated": max(moment, webhook.date_updated)})
