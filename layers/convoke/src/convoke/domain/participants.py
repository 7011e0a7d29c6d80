"""The Participant resource: the shapes a member may have (reference, a.3 and b.2)."""

from __future__ import annotations

import json
from typing import Annotated, Literal, NamedTuple, Self

from pydantic import AfterValidator, BeforeValidator, model_validator

from convoke.domain.addresses import MAX_ADDRESS_CHARACTERS, Channel, channel_of, is_group_number
from convoke.domain.attributes import check_attributes
from convoke.domain.dates import date_validator
from convoke.domain.errors import (
    AddressEmptyError,
    AddressEqualsProxyError,
    ChannelMismatchError,
    IdentityLooksLikeUserSidError,
    IdentityMissingError,
    IdentityNotAcceptableError,
    IdentityTooLongError,
    InvalidAddressError,
    InvalidDateCreatedError,
    InvalidDateUpdatedError,
    InvalidParameterError,
    InvalidProxyAddressError,
    InvalidRoleSidError,
    NameOrLevelNotAcceptableError,
    ProjectedAddressNotOwnedError,
    ProxyAddressEmptyError,
    ProxyNotSupportedError,
)
from convoke.domain.instants import Instant
from convoke.domain.model import Model
from convoke.domain.sids import Prefix, is_sid

MAX_IDENTITY_CHARACTERS = 256
"""Characters (reference, f.1)."""

MAX_PARTICIPANT_ATTRIBUTES_BYTES = 4 * 1024
"""Bytes (reference, f.1)."""

EMAIL_LEVELS = ("to", "cc", "from")


class MessagingBinding(Model):
    """How a member that is no pure chat member is reached; only the keys that apply are set (reference, a.3)."""

    type: Channel
    address: str | None = None
    proxy_address: str | None = None
    projected_address: str | None = None
    name: str | None = None
    level: str | None = None

    @property
    def pair(self) -> tuple[str, str] | None:
        """The (address, proxy address) that may be in one open conversation of the account only."""
        return (self.address, self.proxy_address) if self.address and self.proxy_address else None

    @property
    def group_address(self) -> str | None:
        """Its own number, where it is a phone member of a group MMS: an address without a proxy, not by e-mail."""
        return self.address if self.proxy_address is None and self.type is not Channel.EMAIL else None


class KnownBy(NamedTuple):
    """Who somebody is, whatever conversations that is in."""

    kind: Literal["identity", "address"]
    value: str


class BoundMember(Model):
    """A member with a binding, as far as the locks and the group of its conversation follow from it."""

    sid: str
    identity: str | None = None
    messaging_binding: MessagingBinding

    @property
    def pair(self) -> tuple[str, str] | None:
        return self.messaging_binding.pair

    @property
    def group_address(self) -> str | None:
        return self.messaging_binding.group_address

    @property
    def projected_address(self) -> str | None:
        return self.messaging_binding.projected_address


class Participant(Model):
    """A member as it is stored."""

    account_sid: str
    conversation_sid: str
    sid: str
    identity: str | None = None
    attributes: str = "{}"
    messaging_binding: MessagingBinding | None = None
    role_sid: str | None = None
    date_created: Instant
    date_updated: Instant
    last_read_message_index: int | None = None
    last_read_timestamp: Instant | None = None

    @property
    def pair(self) -> tuple[str, str] | None:
        return self.messaging_binding.pair if self.messaging_binding else None

    @property
    def bound(self) -> tuple[BoundMember, ...]:
        """Itself, where it has a binding."""
        if self.messaging_binding is None:
            return ()
        return (BoundMember(sid=self.sid, identity=self.identity, messaging_binding=self.messaging_binding),)

    @property
    def address(self) -> str | None:
        """Its own device; None for a chat member, masked or not, and for a number of the business alone."""
        return self.messaging_binding.address if self.messaging_binding else None

    @property
    def projected_address(self) -> str | None:
        return self.messaging_binding.projected_address if self.messaging_binding else None

    @property
    def known_by(self) -> KnownBy | None:
        """None for a number of the business alone, which is nobody."""
        if self.identity:
            return KnownBy("identity", self.identity)
        return KnownBy("address", self.address) if self.address else None

    @property
    def is_in_group(self) -> bool:
        """Whether it can only be a member of a group MMS (reference, b.4)."""
        binding = self.messaging_binding
        if binding is None or binding.type is Channel.EMAIL:
            return False
        return binding.proxy_address is None

    @property
    def names(self) -> frozenset[str]:
        """What messages of its own are signed with."""
        standalone = None if self.identity else self.projected_address
        return frozenset(name for name in (self.identity, self.address, standalone) if name)


def check_identity(identity: str) -> str:
    """Taken literally, blanks included; the empty one counts as none given."""
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
        raise InvalidAddressError
    return address


def check_proxy_address(address: str) -> str:
    if not address:
        raise ProxyAddressEmptyError
    if channel_of(address) is None:
        raise InvalidProxyAddressError
    return address


def check_projected_address(address: str) -> str:
    """A number of the business in a group MMS; one that cannot be in a group cannot be owned for it either."""
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


def parse_attributes(value: object) -> object:
    """A JSON object is accepted beside the string that holds one (reference, h 18)."""
    return json.dumps(value, ensure_ascii=False) if isinstance(value, dict) else value


def lower_case(value: object) -> object:
    """Words are compared without regard to case (reference, a.0)."""
    return value.lower() if isinstance(value, str) else value


class NewBinding(Model):
    """The `messaging_binding` that a client asks for."""

    type: Annotated[Channel, BeforeValidator(lower_case)] | None = None
    address: Annotated[str, AfterValidator(check_address)] | None = None
    proxy_address: Annotated[str, AfterValidator(check_proxy_address)] | None = None
    projected_address: Annotated[str, AfterValidator(check_projected_address)] | None = None
    name: Annotated[str, AfterValidator(check_name)] | None = None
    level: Annotated[str, BeforeValidator(lower_case)] | None = None

    @property
    def channel(self) -> Channel:
        """The type as the addresses tell it; e-mail must say so itself, which `check_binding` sees to."""
        return channel_of(self.address or "") or Channel.SMS


def check_binding(binding: NewBinding) -> None:
    """The rows of the validity table that concern the binding alone (reference, b.2)."""
    channel = binding.channel
    if binding.address and binding.projected_address:
        raise InvalidAddressError(parameter="messaging_binding.address")
    if channel is Channel.EMAIL and binding.type is not Channel.EMAIL:
        raise InvalidAddressError(parameter="messaging_binding.address")
    if binding.type not in (None, channel):
        raise InvalidParameterError(parameter="messaging_binding.type")
    if channel is Channel.EMAIL:
        check_email_binding(binding)
    else:
        check_phone_binding(binding, channel)


def check_email_binding(binding: NewBinding) -> None:
    if binding.proxy_address:
        raise ProxyNotSupportedError(parameter="messaging_binding.proxy_address")
    if binding.level not in (None, *EMAIL_LEVELS):
        raise InvalidParameterError(parameter="messaging_binding.level")


def check_phone_binding(binding: NewBinding, channel: Channel) -> None:
    for name in ("name", "level"):
        if getattr(binding, name) is not None:
            raise NameOrLevelNotAcceptableError(parameter=f"messaging_binding.{name}")
    proxy = binding.proxy_address
    if proxy is None:
        check_address_without_proxy(binding)
        return
    if binding.address is None:
        raise AddressEmptyError(parameter="messaging_binding.address")
    if proxy == binding.address:
        raise AddressEqualsProxyError(parameter="messaging_binding.proxy_address")
    if channel_of(proxy) is not channel:
        raise ChannelMismatchError(parameter="messaging_binding.proxy_address")


def check_address_without_proxy(binding: NewBinding) -> None:
    """An address without a proxy makes a member of a group MMS (reference, b.4)."""
    if binding.address is not None and not is_group_number(binding.address):
        raise InvalidAddressError(parameter="messaging_binding.address")


class NewParticipant(Model):
    """What a client asks for when it adds a member; as JSON it is a value of `Participant` (reference, b.2)."""

    identity: Annotated[str, AfterValidator(check_identity)] | None = None
    messaging_binding: NewBinding = NewBinding()
    attributes: Annotated[
        str,
        BeforeValidator(parse_attributes),
        AfterValidator(lambda value: check_attributes(value, MAX_PARTICIPANT_ATTRIBUTES_BYTES)),
    ] = "{}"
    role_sid: Annotated[str, AfterValidator(check_role_sid)] | None = None
    date_created: Annotated[Instant, BeforeValidator(date_validator(InvalidDateCreatedError))] | None = None
    date_updated: Annotated[Instant, BeforeValidator(date_validator(InvalidDateUpdatedError))] | None = None

    @model_validator(mode="after")
    def check(self) -> Self:
        binding = self.messaging_binding
        if self.identity and (binding.address or binding.proxy_address):
            raise IdentityNotAcceptableError(parameter="identity")
        check_binding(binding)
        if not self.identity and not binding.address and not binding.projected_address:
            raise IdentityMissingError(parameter="identity")
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
        """Its own number, where it is a phone member of a group MMS: an address without a proxy, not by e-mail."""
        binding = self.messaging_binding
        alone = binding.address is not None and binding.proxy_address is None
        return binding.address if alone and binding.channel is not Channel.EMAIL else None

    def binding(self) -> MessagingBinding | None:
        """The binding as it is stored; None for a pure chat member."""
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
