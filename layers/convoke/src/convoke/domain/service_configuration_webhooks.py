"""The webhooks of a service, and the choice between the webhooks of a service and the webhooks of its account.

See docs/behaviour/configuration-webhooks.md#service-webhooks.
"""

from __future__ import annotations

from typing import NamedTuple

from convoke.domain.configuration_webhooks import ConfigurationWebhooks
from convoke.domain.events import AnyEventType, EventType
from convoke.domain.model import Model
from convoke.domain.webhooks import Hook, Method, WebhookSettingsChange


class ServiceConfigurationWebhooks(Model):
    """The stored webhooks of a service. A setting is None until a client sets a value."""

    account_sid: str
    chat_service_sid: str
    method: Method | None = None
    filters: tuple[EventType, ...] | None = None
    pre_webhook_url: str | None = None
    post_webhook_url: str | None = None


class ServiceConfigurationWebhooksChange(WebhookSettingsChange):
    """The parameters of a request that updates the webhooks of a service."""


class WebhookLevels(NamedTuple):
    """The webhooks of an account and of one of its services.

    If the service has a pre-event URL or a post-event URL, the webhooks of the account get no events of this service.
    See docs/behaviour/webhook-delivery.md#levels.
    """

    account: ConfigurationWebhooks
    service: ServiceConfigurationWebhooks

    def pre_hook(self, event_type: AnyEventType) -> Hook | None:
        """Return the pre-event webhook for this type of event, or None if there is no such webhook."""
        return self._hook(event_type, self._level.pre_webhook_url)

    def post_hook(self, event_type: AnyEventType) -> Hook | None:
        """Return the post-event webhook of the service or account for this type of event, or None if there is none."""
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
