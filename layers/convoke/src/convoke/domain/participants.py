"""The Participant resource, and the rules for new participants and their roles.

`domain/participant_requests.py` has the rules for an update. See docs/behaviour/participants.md.
"""

from __future__ import annotations

import json
from enum import StrEnum
from typing import Annotated, Literal, NamedTuple, Self

from pydantic import AfterValidator, BeforeValidator, WithJsonSchema, model_validator

from convoke.domain.addresses import MAX_ADDRESS_CHARACTERS, Channel, channel_of
from convoke.domain.attributes import check_attributes
from convoke.domain.dates import DateCreated, DateUpdated
from convoke.domain.errors import (
    AddressEmptyError,
    AddressEqualsProxyError,
    ChannelMismatchError,
    IdentityLooksLikeUserSidError,
    IdentityMissingError,
    IdentityNotAcceptableError,
    IdentityTooLongError,
    InvalidAddressError,
    InvalidParameterError,
    InvalidProxyAddressError,
    InvalidRoleSidError,
    NameOrLevelNotAcceptableError,
    ProjectedAddressNotOwnedError,
    ProxyAddressEmptyError,
    ProxyNotSupportedError,
)
from convoke.domain.event_ids import to_event_id
from convoke.domain.groups import WANTED_GROUP_NUMBER, is_group_number
from convoke.domain.instants import Instant
from convoke.domain.json_schema import attributes_schema, sid_schema, string_schema, word_schema
from convoke.domain.model import Model
from convoke.domain.names import NAME_IN_PATH
from convoke.domain.sids import Prefix, is_sid

MAX_IDENTITY_CHARACTERS = 256

MAX_PARTICIPANT_ATTRIBUTES_BYTES = 4 * 1024

EMAIL_LEVELS = ("to", "cc", "from")


class NotificationLevel(StrEnum):
    """Whether a participant wants notifications about messages in the conversation."""

    DEFAULT = "default"
    MUTED = "muted"


class MessagingBinding(Model):
    """The addresses of a participant, and their channel. Responses leave out fields without a value."""

    type: Channel
    address: str | None = None
    proxy_address: str | None = None
    projected_address: str | None = None
    name: str | None = None
    level: str | None = None

    @property
    def pair(self) -> tuple[str, str] | None:
        """The address and the proxy address, or None if the binding does not have both addresses.

        In one account, two conversations that are not closed cannot contain the same pair.
        """
        return (self.address, self.proxy_address) if self.address and self.proxy_address else None

    @property
    def group_address(self) -> str | None:
        """The address of a phone without a proxy address, or None. Only a group MMS has such phones."""
        return self.address if self.proxy_address is None and self.type is not Channel.EMAIL else None


class KnownBy(NamedTuple):
    """An identity or an address that identifies the same person in all conversations of a service."""

    kind: Literal["identity", "address"]
    value: str


class Member(Model):
    """The part of a participant that Convoke needs to create a message: the SID, the identity and the binding."""

    sid: str
    identity: str | None = None
    messaging_binding: MessagingBinding | None = None

    @property
    def pair(self) -> tuple[str, str] | None:
        return self.messaging_binding.pair if self.messaging_binding else None

    @property
    def address(self) -> str | None:
        """The address at which the person gets messages outside chat. None if there is no such address."""
        return self.messaging_binding.address if self.messaging_binding else None

    @property
    def projected_address(self) -> str | None:
        return self.messaging_binding.projected_address if self.messaging_binding else None

    @property
    def is_in_group(self) -> bool:
        """Whether the participant is a member of a group MMS.

        Only a member of a group MMS or an e-mail participant can have a binding without a proxy address.
        """
        binding = self.messaging_binding
        if binding is None or binding.type is Channel.EMAIL:
            return False
        return binding.proxy_address is None

    @property
    def author_names(self) -> frozenset[str]:
        """The names of this participant as the author of a message: the identity or the address.

        If the participant has no identity, the projected address is a name too. See `find_author` in messages.py.
        """
        standalone = None if self.identity else self.projected_address
        return frozenset(name for name in (self.identity, self.address, standalone) if name)


class BoundMember(Member):
    """A participant with a messaging binding. The item of the conversation contains the conversation's bound members.

    The bound members determine which locks on addresses the conversation holds, and which phones get copies of its
    messages.
    """

    messaging_binding: MessagingBinding

    @property
    def group_address(self) -> str | None:
        return self.messaging_binding.group_address


class Participant(Member):
    """A stored participant."""

    account_sid: str
    conversation_sid: str
    attributes: str = "{}"
    role_sid: str | None = None
    date_created: Instant
    date_updated: Instant
    last_read_message_index: int | None = None
    last_read_timestamp: Instant | None = None
    notification_level: NotificationLevel | None = None
    """None means the level `default`. The Participant resource does not show the level."""
    revision: int | None = None
    """The number of times that the participant was changed. None if the participant was never changed.

    Optimistic locking uses this number. An update of the participant checks and increments both this number and the
    revision of the conversation. An update of only a read position or a notification level checks and increments only
    this number.
    """
    event_id: int | None = None
    """The event id of the last change: a number that orders the changes for chat clients (domain/event_ids.py).

    If None, the event id is derived from `date_updated`.
    """

    @property
    def last_event_id(self) -> int:
        return self.event_id or to_event_id(self.date_updated)

    @property
    def bound(self) -> tuple[BoundMember, ...]:
        """The participant as a `BoundMember`. Empty if the participant has no binding."""
        if self.messaging_binding is None:
            return ()
        return (BoundMember(sid=self.sid, identity=self.identity, messaging_binding=self.messaging_binding),)

    @property
    def known_by(self) -> KnownBy | None:
        """The identity, or the address if there is no identity. None if there is no identity and no address."""
        if self.identity:
            return KnownBy("identity", self.identity)
        return KnownBy("address", self.address) if self.address else None


def check_identity(identity: str) -> str:
    """Return the identity unchanged. Raise an error if it is empty, is too long, or has the format of a User SID.

    Spaces at the start and at the end are part of the identity.
    """
    if not identity:
        raise IdentityMissingError
    if len(identity) > MAX_IDENTITY_CHARACTERS:
        raise IdentityTooLongError
    if is_sid(identity, Prefix.USER):
        raise IdentityLooksLikeUserSidError
    return identity


def check_address(address: str) -> str:
    if not address:
        raise AddressEmptyError
    if channel_of(address) is None:
        raise InvalidAddressError(wanted="an E.164 number, also with whatsapp:, or a valid address of another channel")
    return address


def check_proxy_address(address: str) -> str:
    if not address:
        raise ProxyAddressEmptyError
    if channel_of(address) is None:
        raise InvalidProxyAddressError
    return address


def check_projected_address(address: str) -> str:
    """Return the projected address unchanged. Raise ProjectedAddressNotOwnedError if it cannot be in a group MMS.

    operations/participants.py raises the same error if the account does not own the address.
    """
    if not is_group_number(address):
        raise ProjectedAddressNotOwnedError
    return address


def check_name(name: str) -> str:
    if len(name) > MAX_ADDRESS_CHARACTERS:
        raise InvalidParameterError(wanted=f"at most {MAX_ADDRESS_CHARACTERS} characters")
    return name


def check_role_sid(sid: str) -> str:
    if not is_sid(sid, Prefix.ROLE):
        raise InvalidRoleSidError
    return sid


def check_participant_attributes(attributes: str) -> str:
    return check_attributes(attributes, MAX_PARTICIPANT_ATTRIBUTES_BYTES)


def parse_attributes(value: object) -> object:
    """Convert a JSON object to a string that contains JSON. Return any other value unchanged.

    In the JSON of the parameter `Participant`, the attributes can be an object or a string.
    """
    return json.dumps(value, ensure_ascii=False) if isinstance(value, dict) else value


def lower_case(value: object) -> object:
    """Convert a string to lower case. Clients can write the channel and the level in upper or lower case."""
    return value.lower() if isinstance(value, str) else value


ADDRESS_SCHEMA = string_schema(MAX_ADDRESS_CHARACTERS, min_characters=1)

Identity = Annotated[
    str, AfterValidator(check_identity), NAME_IN_PATH, string_schema(MAX_IDENTITY_CHARACTERS, min_characters=1)
]
Address = Annotated[str, AfterValidator(check_address), ADDRESS_SCHEMA]
ProxyAddress = Annotated[str, AfterValidator(check_proxy_address), ADDRESS_SCHEMA]
ProjectedAddress = Annotated[str, AfterValidator(check_projected_address), ADDRESS_SCHEMA]
EmailName = Annotated[str, AfterValidator(check_name), string_schema(MAX_ADDRESS_CHARACTERS)]
EmailLevel = Annotated[str, BeforeValidator(lower_case), word_schema(EMAIL_LEVELS)]
RoleSid = Annotated[str, AfterValidator(check_role_sid), sid_schema(Prefix.ROLE)]
ParticipantAttributes = Annotated[
    str, AfterValidator(check_participant_attributes), attributes_schema(MAX_PARTICIPANT_ATTRIBUTES_BYTES)
]
ParticipantAttributesOrObject = Annotated[
    ParticipantAttributes,
    BeforeValidator(parse_attributes),
    WithJsonSchema({"anyOf": [attributes_schema(MAX_PARTICIPANT_ATTRIBUTES_BYTES).json_schema, {"type": "object"}]}),
]


ADDRESS_FIELD = ("messaging_binding", "address")


class NewBinding(Model):
    """The field `messaging_binding` of a new participant."""

    type: Annotated[Channel, BeforeValidator(lower_case)] | None = None
    address: Address | None = None
    proxy_address: ProxyAddress | None = None
    projected_address: ProjectedAddress | None = None
    name: EmailName | None = None
    level: EmailLevel | None = None

    @property
    def channel(self) -> Channel:
        """The channel of the address, or SMS if there is no address. `check_binding` refuses a different `type`."""
        return (self.address and channel_of(self.address)) or Channel.SMS


def check_binding(binding: NewBinding) -> None:
    """Raise an error if the fields of the binding are not valid together.

    See docs/behaviour/participants.md#validity.
    """
    channel = binding.channel
    if binding.address and binding.projected_address:
        raise InvalidAddressError(field=ADDRESS_FIELD, wanted="given without a projected address, not together with it")
    if channel is Channel.EMAIL and binding.type is not Channel.EMAIL:
        raise InvalidAddressError(field=ADDRESS_FIELD, wanted="given with the type email if it is an e-mail address")
    if binding.type not in (None, channel):
        raise InvalidParameterError(field=("messaging_binding", "type"), wanted=f"{channel} for this address")
    if channel is Channel.EMAIL:
        check_email_binding(binding)
    else:
        check_phone_binding(binding, channel)


def check_email_binding(binding: NewBinding) -> None:
    if binding.proxy_address:
        raise ProxyNotSupportedError(field=("messaging_binding", "proxy_address"))
    if binding.level not in (None, *EMAIL_LEVELS):
        raise InvalidParameterError(field=("messaging_binding", "level"), wanted="to, cc or from")


def check_phone_binding(binding: NewBinding, channel: Channel) -> None:
    for name in ("name", "level"):
        if getattr(binding, name) is not None:
            raise NameOrLevelNotAcceptableError(field=("messaging_binding", name))
    proxy = binding.proxy_address
    if proxy is None:
        check_address_without_proxy(binding)
        return
    if binding.address is None:
        raise AddressEmptyError(field=("messaging_binding", "address"))
    if proxy == binding.address:
        raise AddressEqualsProxyError(field=("messaging_binding", "proxy_address"))
    if channel_of(proxy) is not channel:
        raise ChannelMismatchError(field=("messaging_binding", "proxy_address"))


def check_address_without_proxy(binding: NewBinding) -> None:
    """Raise an error if the binding has an address that cannot be in a group MMS. The binding has no proxy address.

    Outside a group MMS, each phone needs a proxy address.
    """
    if binding.address is not None and not is_group_number(binding.address):
        raise InvalidAddressError(field=ADDRESS_FIELD, wanted=f"{WANTED_GROUP_NUMBER} if there is no proxy address")


class NewParticipant(Model):
    """The parameters of a request that adds a participant.

    In a ConversationWithParticipants request, each value of the parameter `Participant` has the same fields.
    """

    identity: Identity | None = None
    messaging_binding: NewBinding = NewBinding()
    attributes: ParticipantAttributesOrObject = "{}"
    role_sid: RoleSid | None = None
    date_created: DateCreated | None = None
    date_updated: DateUpdated | None = None

    @model_validator(mode="after")
    def check(self) -> Self:
        binding = self.messaging_binding
        if self.identity and (binding.address or binding.proxy_address):
            raise IdentityNotAcceptableError(field="identity")
        # Check the binding only if the request contains a binding.
        if "messaging_binding" in self.model_fields_set:
            check_binding(binding)
        if not self.identity and not binding.address and not binding.projected_address:
            raise IdentityMissingError(field="identity")
        return self

    @property
    def projected_address(self) -> str | None:
        return self.messaging_binding.projected_address

    @property
    def pair(self) -> tuple[str, str] | None:
        binding = self.messaging_binding
        return (binding.address, binding.proxy_address) if binding.address and binding.proxy_address else None

    @property
    def group_address(self) -> str | None:
        """The address of a phone without a proxy address, or None. Only a group MMS has such phones."""
        binding = self.messaging_binding
        alone = binding.address is not None and binding.proxy_address is None
        return binding.address if alone and binding.channel is not Channel.EMAIL else None

    def role_sid_or(self, default: str) -> str | None:
        """Return the requested role. If no role is requested, return None for a phone in a group MMS, else `default`.

        The caller passes `Service.member_role_sid` as `default`.
        """
        return self.role_sid or (None if self.group_address else default)

    def binding(self) -> MessagingBinding | None:
        """Return the binding to store, or None for a chat participant without a projected address."""
        requested = self.messaging_binding
        if not requested.address and not requested.projected_address:
            return None
        return MessagingBinding(
            type=requested.channel,
            address=requested.address,
            proxy_address=requested.proxy_address,
            projected_address=requested.projected_address,
            name=requested.name,
            level=requested.level,
        )
