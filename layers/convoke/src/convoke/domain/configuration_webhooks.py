"""The webhooks of an account. They get the events of each service that has no pre-event URL and no post-event URL.

See docs/behaviour/configuration-webhooks.md#account-webhooks.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated

from pydantic import BeforeValidator

from convoke.domain.errors import InvalidParameterError
from convoke.domain.events import EventType
from convoke.domain.model import Model
from convoke.domain.webhooks import Method, WebhookSettingsChange


class Target(StrEnum):
    WEBHOOK = "webhook"
    FLEX = "flex"


class ConfigurationWebhooks(Model):
    """The stored webhooks of an account. They get only events whose type is in `filters`.

    If `filters` is None, the webhooks get no events.
    """

    account_sid: str
    method: Method = Method.POST
    filters: tuple[EventType, ...] | None = None
    pre_webhook_url: str | None = None
    post_webhook_url: str | None = None
    target: Target = Target.WEBHOOK


def parse_target(value: object) -> Target:
    try:
        return Target(str(value).lower())
    except ValueError as error:
        raise InvalidParameterError(wanted="webhook or flex") from error


class ConfigurationWebhooksChange(WebhookSettingsChange):
    """The parameters of a request that updates the webhooks of an account."""

    target: Annotated[Target, BeforeValidator(parse_target)] | None = None
