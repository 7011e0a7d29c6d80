"""The notification configuration of a service: the events that cause push notifications, and their texts and sounds.

Convoke stores the configuration, but sends no push notifications. See
docs/behaviour/configuration.md#notification-configuration.
"""

from __future__ import annotations

from typing import Annotated

from pydantic import AfterValidator

from convoke.domain.conversations import MAX_NAME_CHARACTERS
from convoke.domain.errors import NotificationSoundTooLongError, NotificationTemplateTooLongError
from convoke.domain.json_schema import string_schema
from convoke.domain.model import Model
from convoke.domain.service_configuration import Boolean

MAX_TEMPLATE_BYTES = 4096
"""The maximum size of a template. Apple and Google accept no larger payload.

See https://developer.apple.com/documentation/usernotifications/generating-a-remote-notification and
https://firebase.google.com/docs/cloud-messaging/concept-options.
"""


def check_template(template: str) -> str:
    if len(template.encode()) > MAX_TEMPLATE_BYTES:
        raise NotificationTemplateTooLongError
    return template


def check_sound(sound: str) -> str:
    if len(sound) > MAX_NAME_CHARACTERS:
        raise NotificationSoundTooLongError
    return sound


Template = Annotated[str, AfterValidator(check_template), string_schema(MAX_TEMPLATE_BYTES)]

Sound = Annotated[str, AfterValidator(check_sound), string_schema(MAX_NAME_CHARACTERS)]


class NotificationSettings(Model):
    """The settings of the notification configuration. A new service has the defaults."""

    log_enabled: Boolean = False
    new_message_enabled: Boolean = False
    new_message_template: Template = ""
    new_message_sound: Sound = ""
    new_message_badge_count_enabled: Boolean = False
    new_message_with_media_enabled: Boolean = False
    new_message_with_media_template: Template = ""
    added_to_conversation_enabled: Boolean = False
    added_to_conversation_template: Template = ""
    added_to_conversation_sound: Sound = ""
    removed_from_conversation_enabled: Boolean = False
    removed_from_conversation_template: Template = ""
    removed_from_conversation_sound: Sound = ""


class ServiceConfigurationNotifications(NotificationSettings):
    """The stored notification configuration of a service."""

    account_sid: str
    chat_service_sid: str


class ServiceConfigurationNotificationsChange(NotificationSettings):
    """The parameters of an update of the notification configuration. Only the fields in `model_fields_set` change."""
