"""`/v1/Services/{sid}/Configuration/Notifications`: the notification configuration of a service.

See docs/behaviour/configuration.md#notification-configuration.
"""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict

from convoke.api.contracts import Contract
from convoke.api.operations import Operations
from convoke.api.parameters import FORM_NAMES, parse
from convoke.api.representations import Representation, json_response
from convoke.api.requests import Request
from convoke.api.responses import Response
from convoke.domain import errors
from convoke.domain.service_configuration_notifications import (
    ServiceConfigurationNotifications,
    ServiceConfigurationNotificationsChange,
)


class UpdateServiceConfigurationNotifications(ServiceConfigurationNotificationsChange):
    model_config = FORM_NAMES


class WithMedia(BaseModel):
    model_config = ConfigDict(defer_build=True)

    enabled: bool
    template: str


class NewMessageNotification(BaseModel):
    model_config = ConfigDict(defer_build=True)

    enabled: bool
    template: str
    badge_count_enabled: bool
    sound: str
    with_media: WithMedia


class MembershipNotification(BaseModel):
    model_config = ConfigDict(defer_build=True)

    enabled: bool
    template: str
    sound: str


class NotificationsRepresentation(Representation):
    account_sid: str
    chat_service_sid: str
    log_enabled: bool
    added_to_conversation: MembershipNotification
    new_message: NewMessageNotification
    removed_from_conversation: MembershipNotification
    url: str


FETCH = Contract("ConfigurationNotifications", NotificationsRepresentation)
UPDATE = Contract(
    "ConfigurationNotifications",
    NotificationsRepresentation,
    form=UpdateServiceConfigurationNotifications,
    errors=(errors.NotificationTemplateTooLongError, errors.NotificationSoundTooLongError),
)


def represent(request: Request, configuration: ServiceConfigurationNotifications) -> NotificationsRepresentation:
    return NotificationsRepresentation(
        account_sid=configuration.account_sid,
        chat_service_sid=configuration.chat_service_sid,
        log_enabled=configuration.log_enabled,
        added_to_conversation=MembershipNotification(
            enabled=configuration.added_to_conversation_enabled,
            template=configuration.added_to_conversation_template,
            sound=configuration.added_to_conversation_sound,
        ),
        new_message=NewMessageNotification(
            enabled=configuration.new_message_enabled,
            template=configuration.new_message_template,
            badge_count_enabled=configuration.new_message_badge_count_enabled,
            sound=configuration.new_message_sound,
            with_media=WithMedia(
                enabled=configuration.new_message_with_media_enabled,
                template=configuration.new_message_with_media_template,
            ),
        ),
        removed_from_conversation=MembershipNotification(
            enabled=configuration.removed_from_conversation_enabled,
            template=configuration.removed_from_conversation_template,
            sound=configuration.removed_from_conversation_sound,
        ),
        url=request.url(f"/Services/{configuration.chat_service_sid}/Configuration/Notifications"),
    )


def fetch(operations: Operations, request: Request, chat_service_sid: str) -> Response:
    service = operations.services.fetch(request.account.sid, chat_service_sid)
    found = operations.service_configuration_notifications.fetch(request.account.sid, service.sid)
    return json_response(represent(request, found))


def update(operations: Operations, request: Request, chat_service_sid: str) -> Response:
    service = operations.services.fetch(request.account.sid, chat_service_sid)
    change = parse(UpdateServiceConfigurationNotifications, request.form)
    updated = operations.service_configuration_notifications.update(request.account.sid, service.sid, change)
    return json_response(represent(request, updated))
