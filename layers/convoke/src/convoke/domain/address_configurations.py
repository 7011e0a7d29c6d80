"""The Address Configuration resource, which sets how Convoke processes a message to a business address.

See docs/behaviour/address-configurations.md.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import datetime
from enum import StrEnum
from types import MappingProxyType
from typing import Annotated, Any, ClassVar, Self

from pydantic import AfterValidator, BeforeValidator, Field, model_validator

from convoke.domain.addresses import MAX_ADDRESS_CHARACTERS, channel_of
from convoke.domain.configuration import ServiceSid
from convoke.domain.conversations import FriendlyName
from convoke.domain.errors import (
    ConversationsError,
    FriendlyNameTooLongError,
    InvalidFlowSidError,
    InvalidParameterError,
    InvalidSidError,
    InvalidWebhookMethodError,
    InvalidWebhookSettingsError,
    UnknownWebhookFilterError,
    WebhookUrlMissingError,
    WebhookUrlTooLongError,
)
from convoke.domain.events import EventType
from convoke.domain.instants import Instant
from convoke.domain.json_schema import IN_EITHER_CASE, pattern_schema, string_schema, word_schema
from convoke.domain.model import Model
from convoke.domain.names import NAME_IN_PATH
from convoke.domain.scoped_webhooks import Filters, FlowSid, NewScopedWebhook, ScopedTarget, ScopedUrl, ScopedWebhook
from convoke.domain.service_configuration import Boolean
from convoke.domain.webhooks import Method, parse_method

MAX_STUDIO_RETRIES = 3

SHORT_CODE = "[1-9][0-9]{2,7}"

COUNTRY = "[A-Za-z]{2}"


class AddressType(StrEnum):
    """The types of business addresses. Each of the first five types has the same name as its channel."""

    SMS = "sms"
    WHATSAPP = "whatsapp"
    MESSENGER = "messenger"
    EMAIL = "email"
    RCS = "rcs"
    GBM = "gbm"
    APPLE = "apple"
    CHAT = "chat"


FORMS: Mapping[AddressType, str] = MappingProxyType(
    {
        AddressType.SMS: "a phone number such as +15017122661, or a short code of 3 to 8 digits",
        AddressType.WHATSAPP: "whatsapp: and a phone number, such as whatsapp:+15017122661",
        AddressType.MESSENGER: "messenger: and the ID of a page",
        AddressType.EMAIL: "an e-mail address",
        AddressType.RCS: "rcs: and the ID of an agent",
    }
)
"""Maps address types to the form that an address of the type must have. The form is a text for error messages.

An address of a type that is not in this mapping can have any form. For all types, `BusinessAddress` checks the length
of an address and, on AWS, its characters (see names.py).
"""


class AutoCreationType(StrEnum):
    """The types of autocreation. Autocreation creates a conversation for an inbound message.

    With WEBHOOK or STUDIO, the conversation gets a scoped webhook with the target `webhook` or `studio`. With DEFAULT,
    the conversation gets no webhook.
    """

    WEBHOOK = "webhook"
    STUDIO = "studio"
    DEFAULT = "default"


AUTO_CREATION: Mapping[AutoCreationType, tuple[str, ...]] = MappingProxyType(
    {
        AutoCreationType.WEBHOOK: ("webhook_url", "webhook_method", "webhook_filters"),
        AutoCreationType.STUDIO: ("studio_flow_sid", "studio_retry_count"),
        AutoCreationType.DEFAULT: (),
    }
)
"""Maps each type of autocreation to the settings that only this type uses, without the prefix `auto_creation_`."""


class AddressConfiguration(Model):
    """A stored address configuration."""

    account_sid: str
    sid: str
    type: AddressType
    address: str
    friendly_name: str | None = None
    address_country: str | None = None
    auto_creation_enabled: bool = False
    auto_creation_type: AutoCreationType = AutoCreationType.DEFAULT
    auto_creation_conversation_service_sid: str | None = None
    """The service in which autocreation creates conversations. None means the account's default service."""
    auto_creation_webhook_url: str | None = None
    auto_creation_webhook_method: Method = Method.POST
    auto_creation_webhook_filters: tuple[EventType, ...] = ()
    auto_creation_studio_flow_sid: str | None = None
    auto_creation_studio_retry_count: int = 0
    date_created: Instant
    date_updated: Instant

    @property
    def auto_creation(self) -> dict[str, Any]:
        """The settings of autocreation that apply to `auto_creation_type`. Settings without a value are left out."""
        names = ("enabled", "type", "conversation_service_sid", *AUTO_CREATION[self.auto_creation_type])
        settings = {name: getattr(self, f"auto_creation_{name}") for name in names}
        return {name: value for name, value in settings.items() if value is not None}

    def webhook(self, conversation_sid: str, sid: str, moment: datetime) -> ScopedWebhook | None:
        """Return the scoped webhook that autocreation adds to a new conversation, or None if the type is DEFAULT.

        The webhook gets the SID `sid`.
        """
        requested: dict[str, object]
        match self.auto_creation_type:
            case AutoCreationType.WEBHOOK:
                requested = {
                    "target": ScopedTarget.WEBHOOK,
                    "url": self.auto_creation_webhook_url,
                    "method": self.auto_creation_webhook_method,
                    "filters": self.auto_creation_webhook_filters,
                }
            case AutoCreationType.STUDIO:
                requested = {"target": ScopedTarget.STUDIO, "flow_sid": self.auto_creation_studio_flow_sid}
            case AutoCreationType.DEFAULT:
                return None
        new = NewScopedWebhook.model_validate(requested)
        return new.webhook(moment, account_sid=self.account_sid, conversation_sid=conversation_sid, sid=sid)

    def refuse_incomplete(self) -> None:
        """Raise an error if the type of autocreation requires a setting that has no value."""
        match self.auto_creation_type:
            case AutoCreationType.WEBHOOK if self.auto_creation_webhook_url is None:
                raise WebhookUrlMissingError(field=("auto_creation", "webhook_url"))
            case AutoCreationType.STUDIO if self.auto_creation_studio_flow_sid is None:
                raise InvalidFlowSidError(field=("auto_creation", "studio_flow_sid"))


def parse_address_type(value: object) -> AddressType:
    try:
        return AddressType(str(value or "").lower())
    except ValueError as error:
        raise InvalidParameterError(wanted=_one_of(AddressType)) from error


def parse_auto_creation_type(value: object) -> AutoCreationType:
    try:
        return AutoCreationType(str(value).lower())
    except ValueError as error:
        raise InvalidParameterError(wanted=_one_of(AutoCreationType)) from error


def check_address_length(address: str) -> str:
    if not 1 <= len(address) <= MAX_ADDRESS_CHARACTERS:
        raise InvalidParameterError(wanted=f"1 to {MAX_ADDRESS_CHARACTERS} characters")
    return address


def check_country(country: str) -> str:
    if not re.fullmatch(COUNTRY, country):
        raise InvalidParameterError(wanted="a country code of two letters, such as US")
    return country.upper()


def parse_retry_count(value: object) -> int:
    if not re.fullmatch(f"[0-{MAX_STUDIO_RETRIES}]", str(value)):
        raise InvalidParameterError(wanted=f"an integer from 0 to {MAX_STUDIO_RETRIES}")
    return int(str(value))


def is_address_of(address_type: AddressType, address: str) -> bool:
    """Return whether `address` has the form that `address_type` requires."""
    if address_type not in FORMS:
        return True
    if address_type is AddressType.SMS and re.fullmatch(SHORT_CODE, address):
        return True
    channel = channel_of(address)
    return channel is not None and channel.value == address_type.value


def _one_of(words: type[StrEnum]) -> str:
    *others, last = words
    return f"{', '.join(others)} or {last}"


Type = Annotated[AddressType, BeforeValidator(parse_address_type), word_schema(AddressType, IN_EITHER_CASE)]

BusinessAddress = Annotated[
    str,
    AfterValidator(check_address_length),
    NAME_IN_PATH,
    string_schema(MAX_ADDRESS_CHARACTERS, min_characters=1, description="The type decides the form of the address."),
]

Country = Annotated[str, AfterValidator(check_country), pattern_schema(COUNTRY)]

CreationType = Annotated[
    AutoCreationType, BeforeValidator(parse_auto_creation_type), word_schema(AutoCreationType, IN_EITHER_CASE)
]

WebhookMethod = Annotated[Method, BeforeValidator(parse_method), word_schema(Method, IN_EITHER_CASE)]

RetryCount = Annotated[int, BeforeValidator(parse_retry_count), pattern_schema(f"[0-{MAX_STUDIO_RETRIES}]")]


class AddressConfigurationParameters(Model):
    """The common parameters of create requests and update requests."""

    order_of_checks: ClassVar[tuple[type[ConversationsError], ...]] = (
        InvalidParameterError,
        FriendlyNameTooLongError,
        InvalidSidError,
        WebhookUrlMissingError,
        WebhookUrlTooLongError,
        InvalidWebhookSettingsError,
        InvalidWebhookMethodError,
        UnknownWebhookFilterError,
        InvalidFlowSidError,
    )

    friendly_name: FriendlyName | None = None
    auto_creation_enabled: Boolean = False
    auto_creation_type: CreationType = AutoCreationType.DEFAULT
    auto_creation_conversation_service_sid: ServiceSid | None = None
    auto_creation_webhook_url: ScopedUrl | None = None
    auto_creation_webhook_method: WebhookMethod = Method.POST
    auto_creation_webhook_filters: Filters = ()
    auto_creation_studio_flow_sid: FlowSid | None = None
    auto_creation_studio_retry_count: RetryCount = 0


class NewAddressConfiguration(AddressConfigurationParameters):
    """The parameters of a request that creates an address configuration."""

    # With `validate_default`, a missing parameter causes the same error as an empty parameter.
    address: BusinessAddress = Field(default="", validate_default=True)
    type: Type = Field(default=None, validate_default=True)
    address_country: Country | None = None

    @model_validator(mode="after")
    def check_form(self) -> Self:
        if not is_address_of(self.type, self.address):
            raise InvalidParameterError(field="address", wanted=FORMS[self.type])
        return self

    def configuration(self, account_sid: str, sid: str, moment: datetime) -> AddressConfiguration:
        """Return the configuration to store. Raises the errors of `refuse_incomplete`."""
        given = self.model_dump(exclude_unset=True)
        made = {"account_sid": account_sid, "sid": sid, "date_created": moment, "date_updated": moment}
        configuration = AddressConfiguration.model_validate(given | made)
        configuration.refuse_incomplete()
        return configuration


class AddressConfigurationChange(AddressConfigurationParameters):
    """The parameters of a request that updates an address configuration.

    The request changes the fields in `model_fields_set`, and `date_updated`. It cannot change the type, the address or
    the country of the address.
    """


class AddressConfigurationFilters(Model):
    """The filters of the list of address configurations."""

    type: Type | None = None

    def match(self, configuration: AddressConfiguration) -> bool:
        return self.type is None or configuration.type is self.type
