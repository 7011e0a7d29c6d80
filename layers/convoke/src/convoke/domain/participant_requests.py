"""What a client may ask to have changed of a member (reference, a.3; errors 50440 to 50444)."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import datetime
from typing import Annotated

from pydantic import AfterValidator, BeforeValidator

from convoke.domain.addresses import Channel, channel_of, is_group_number
from convoke.domain.attributes import check_attributes
from convoke.domain.dates import date_validator, parse_date
from convoke.domain.errors import (
    AddressEqualsProxyError,
    ChannelMismatchError,
    ConversationsError,
    IdentityMissingError,
    IdentityNotAddableError,
    InvalidAddressError,
    InvalidDateCreatedError,
    InvalidDateUpdatedError,
    InvalidLastReadMessageIndexError,
    InvalidParameterError,
    ProjectedAddressNotAddableError,
    ProjectedAddressNotRemovableError,
    ProxyAddressNotAddableError,
    ProxyAddressNotRemovableError,
    ProxyNotSupportedError,
)
from convoke.domain.instants import Instant
from convoke.domain.messages import is_index
from convoke.domain.model import Model
from convoke.domain.participants import (
    MAX_PARTICIPANT_ATTRIBUTES_BYTES,
    MessagingBinding,
    Participant,
    check_identity,
    check_projected_address,
    check_proxy_address,
    check_role_sid,
)

NULL = "null"
"""The literal that removes a value (reference, a.3)."""

READS = frozenset({"last_read_message_index", "last_read_timestamp"})

PROXY_ADDRESS = "MessagingBinding.ProxyAddress"
PROJECTED_ADDRESS = "MessagingBinding.ProjectedAddress"


def allow_null(check: Callable[[str], str]) -> Callable[[str], str | None]:
    def validate(value: str) -> str | None:
        return None if value == NULL else check(value)

    return validate


def parse_index(value: str) -> int | None:
    if value == NULL:
        return None
    if not is_index(value):
        raise InvalidLastReadMessageIndexError
    return int(value)


def parse_timestamp(value: str) -> datetime | None:
    if value == NULL:
        return None
    try:
        return parse_date(value)
    except ValueError as error:
        raise InvalidParameterError(wanted="an ISO 8601 date and time such as 2026-01-02T03:04:05Z") from error


class ParticipantChange(Model):
    """A field that was not given stays as it is (look at `model_fields_set`); one that is given as None is removed."""

    identity: Annotated[str, AfterValidator(check_identity)] | None = None
    messaging_binding_proxy_address: Annotated[str | None, BeforeValidator(allow_null(check_proxy_address))] = None
    messaging_binding_projected_address: Annotated[str | None, BeforeValidator(allow_null(check_projected_address))] = (
        None
    )
    attributes: Annotated[
        str, AfterValidator(lambda value: check_attributes(value, MAX_PARTICIPANT_ATTRIBUTES_BYTES))
    ] = "{}"
    role_sid: Annotated[str, AfterValidator(check_role_sid)] | None = None
    last_read_message_index: Annotated[int | None, BeforeValidator(parse_index)] = None
    last_read_timestamp: Annotated[Instant | None, BeforeValidator(parse_timestamp)] = None
    date_created: Annotated[Instant, BeforeValidator(date_validator(InvalidDateCreatedError))] | None = None
    date_updated: Annotated[Instant, BeforeValidator(date_validator(InvalidDateUpdatedError))] | None = None

    @property
    def changes_only_read_position(self) -> bool:
        """Reading restarts no timer (reference, e.3)."""
        return self.model_fields_set <= READS

    def problems(self, participant: Participant) -> Iterator[ConversationsError]:
        """Why `participant` cannot be changed like this."""
        binding = participant.messaging_binding
        if self.identity and (participant.identity or not (binding and binding.projected_address)):
            yield IdentityNotAddableError(parameter="Identity")
        if "messaging_binding_proxy_address" in self.model_fields_set:
            yield from self._proxy_problems(binding)
        if "messaging_binding_projected_address" in self.model_fields_set:
            yield from self._projected_problems(binding, has_identity=bool(self.identity or participant.identity))

    def applied_to(self, participant: Participant, moment: datetime) -> Participant:
        """The member as it is from `moment` on, where there are no problems. Its date of update never goes back."""
        copied = {"identity", "attributes", "role_sid", "date_created", *READS}
        update = {
            **self.model_dump(include=copied, exclude_unset=True),
            "messaging_binding": self._binding(participant.messaging_binding),
            "date_updated": max(self.date_updated or moment, participant.date_updated),
        }
        return participant.model_copy(update=update)

    def _proxy_problems(self, binding: MessagingBinding | None) -> Iterator[ConversationsError]:
        address, proxy = (binding.address if binding else None), self.messaging_binding_proxy_address
        if proxy is None:
            yield from self._proxy_removal_problems(binding)
        elif address is None:
            yield ProxyAddressNotAddableError(parameter=PROXY_ADDRESS)
        elif binding and binding.type is Channel.EMAIL:
            yield ProxyNotSupportedError(parameter=PROXY_ADDRESS)
        elif proxy == address:
            yield AddressEqualsProxyError(parameter=PROXY_ADDRESS)
        elif channel_of(proxy) is not channel_of(address):
            yield ChannelMismatchError(parameter=PROXY_ADDRESS)

    @staticmethod
    def _proxy_removal_problems(binding: MessagingBinding | None) -> Iterator[ConversationsError]:
        """An address that is left alone makes a member of a group MMS, which not every number can be."""
        if binding is None or binding.pair is None or binding.type is not Channel.SMS:
            yield ProxyAddressNotRemovableError(parameter=PROXY_ADDRESS)
        elif not is_group_number(binding.pair[0]):
            yield InvalidAddressError(parameter=PROXY_ADDRESS)

    def _projected_problems(
        self, binding: MessagingBinding | None, *, has_identity: bool
    ) -> Iterator[ConversationsError]:
        """One business number may take the place of another."""
        if self.messaging_binding_projected_address is not None:
            if binding and binding.address:
                yield ProjectedAddressNotAddableError(parameter=PROJECTED_ADDRESS)
        elif binding is None or binding.projected_address is None:
            yield ProjectedAddressNotRemovableError(parameter=PROJECTED_ADDRESS)
        elif not has_identity:
            yield IdentityMissingError(parameter=PROJECTED_ADDRESS)

    def _binding(self, binding: MessagingBinding | None) -> MessagingBinding | None:
        """A member whose projected address is removed is a chat member like any other."""
        if "messaging_binding_projected_address" in self.model_fields_set:
            projected = self.messaging_binding_projected_address
            return MessagingBinding(type=Channel.SMS, projected_address=projected) if projected else None
        if binding and "messaging_binding_proxy_address" in self.model_fields_set:
            return binding.model_copy(update={"proxy_address": self.messaging_binding_proxy_address})
        return binding
