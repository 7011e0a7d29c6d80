"""The Binding resource: a device of a chat user that is registered for push notifications.

Only chat client SDKs register devices, and Convoke does not accept registrations yet. See docs/behaviour/bindings.md.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated, ClassVar

from pydantic import BeforeValidator, WithJsonSchema

from convoke.domain.errors import ConversationsError, InvalidPushBindingTypeError
from convoke.domain.instants import Instant
from convoke.domain.json_schema import IN_EITHER_CASE, word_schema
from convoke.domain.model import Model


class BindingType(StrEnum):
    """The ways to notify a device: through a push provider, or through its open connection (`twilsock`)."""

    APN = "apn"
    GCM = "gcm"
    FCM = "fcm"
    TWILSOCK = "twilsock"


class Binding(Model):
    """A stored binding."""

    account_sid: str
    chat_service_sid: str
    sid: str
    identity: str
    binding_type: BindingType
    endpoint: str
    credential_sid: str | None = None
    """The SID of the credential that is used to notify the device. None for `twilsock`."""
    message_types: tuple[str, ...] = ()
    """The events about which the device is notified, such as `new_message`."""
    date_created: Instant
    date_updated: Instant


def parse_binding_type(value: object) -> BindingType:
    try:
        return BindingType(str(value).lower())
    except ValueError as error:
        raise InvalidPushBindingTypeError from error


IdentityFilter = Annotated[
    str, WithJsonSchema({"type": "string", "description": "Upper and lower case, and spaces, are different."})
]

Type = Annotated[BindingType, BeforeValidator(parse_binding_type), word_schema(BindingType, IN_EITHER_CASE)]


class BindingFilters(Model):
    """The filters of the list of bindings.

    The list contains a binding only if the binding matches every filter of the request. A filter with several values
    matches a binding that has one of these values.
    """

    order_of_checks: ClassVar[tuple[type[ConversationsError], ...]] = (InvalidPushBindingTypeError,)

    binding_type: tuple[Type, ...] = ()
    identity: tuple[IdentityFilter, ...] = ()

    @property
    def select_all(self) -> bool:
        return not self.binding_type and not self.identity

    def match(self, binding: Binding) -> bool:
        return (not self.binding_type or binding.binding_type in self.binding_type) and (
            not self.identity or binding.identity in self.identity
        )
