"""The rules for an update of a participant.

See docs/behaviour/participants.md#update and docs/behaviour/participants.md#binding-updates.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import datetime
from typing import Annotated

from pydantic import BeforeValidator

from convoke.domain.addresses import MAX_ADDRESS_CHARACTERS, Channel, channel_of
from convoke.domain.dates import DateCreated, DateUpdated, parse_date
from convoke.domain.errors import (
    AddressEqualsProxyError,
    ChannelMismatchError,
    ConversationsError,
    FieldPath,
    IdentityMissingError,
    IdentityNotAddableError,
    InvalidAddressError,
    InvalidLastReadMessageIndexError,
    InvalidParameterError,
    ProjectedAddressNotAddableError,
    ProjectedAddressNotRemovableError,
    ProxyAddressNotAddableError,
    ProxyAddressNotRemovableError,
    ProxyNotSupportedError,
)
from convoke.domain.groups import WANTED_GROUP_NUMBER, is_group_number
from convoke.domain.instants import Instant
from convoke.domain.json_schema import pattern_schema, string_schema, timestamp_schema
from convoke.domain.messages import INDEX_PATTERN, is_index
from convoke.domain.model import Model
from convoke.domain.participants import (
    Identity,
    MessagingBinding,
    Participant,
    ParticipantAttributes,
    RoleSid,
    check_projected_address,
    check_proxy_address,
)

NULL = "null"
"""The word that a client sends to remove the stored value of a parameter."""

READ_POSITION = frozenset({"last_read_message_index", "last_read_timestamp"})

PROXY_ADDRESS_FIELD: FieldPath = ("messaging_binding", "proxy_address")
PROJECTED_ADDRESS_FIELD: FieldPath = ("messaging_binding", "projected_address")


def allow_null(check: Callable[[str], str]) -> Callable[[str], str | None]:
    """Return a validator that converts the word `null` to None and calls `check` for every other value."""

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


REMOVABLE_ADDRESS_SCHEMA = string_schema(
    MAX_ADDRESS_CHARACTERS, min_characters=1, description="The value null removes it."
)

RemovableProxyAddress = Annotated[
    str | None, BeforeValidator(allow_null(check_proxy_address)), REMOVABLE_ADDRESS_SCHEMA
]
RemovableProjectedAddress = Annotated[
    str | None, BeforeValidator(allow_null(check_projected_address)), REMOVABLE_ADDRESS_SCHEMA
]
LastReadMessageIndex = Annotated[
    int | None,
    BeforeValidator(parse_index),
    pattern_schema(f"({INDEX_PATTERN}|{NULL})", "An integer. The value null removes it."),
]
LastReadTimestamp = Annotated[Instant | None, BeforeValidator(parse_timestamp), timestamp_schema()]


class ParticipantChange(Model):
    """The parameters of a request that updates a participant.

    An update changes the fields in `model_fields_set`, and also `date_updated`. The value None removes the stored value
    of a field.
    """

    identity: Identity | None = None
    messaging_binding_proxy_address: RemovableProxyAddress = None
    messaging_binding_projected_address: RemovableProjectedAddress = None
    attributes: ParticipantAttributes = "{}"
    role_sid: RoleSid | None = None
    last_read_message_index: LastReadMessageIndex = None
    last_read_timestamp: LastReadTimestamp = None
    date_created: DateCreated | None = None
    date_updated: DateUpdated | None = None

    @property
    def changes_only_read_position(self) -> bool:
        """Whether the request changes at most the read position. Such a request does not restart the timers."""
        return self.model_fields_set <= READ_POSITION

    def problems(self, participant: Participant) -> Iterator[ConversationsError]:
        """Yield an error for each part of this change that is not valid for `participant`."""
        binding = participant.messaging_binding
        if self.identity and (participant.identity or not (binding and binding.projected_address)):
            yield IdentityNotAddableError(field="identity")
        if "messaging_binding_proxy_address" in self.model_fields_set:
            yield from self._proxy_problems(binding)
        if "messaging_binding_projected_address" in self.model_fields_set:
            yield from self._projected_problems(binding, has_identity=bool(self.identity or participant.identity))

    def applied_to(self, participant: Participant, moment: datetime) -> Participant:
        """Return the changed participant. Its `date_updated` is never earlier than the stored `date_updated`.

        Call this method only if `problems` yields no errors.
        """
        copied = {"identity", "attributes", "role_sid", "date_created", *READ_POSITION}
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
        elif address is None or (binding and binding.proxy_address):
            yield ProxyAddressNotAddableError(field=PROXY_ADDRESS_FIELD)
        elif binding and binding.type is Channel.EMAIL:
            yield ProxyNotSupportedError(field=PROXY_ADDRESS_FIELD)
        elif proxy == address:
            yield AddressEqualsProxyError(field=PROXY_ADDRESS_FIELD)
        elif channel_of(proxy) is not channel_of(address):
            yield ChannelMismatchError(field=PROXY_ADDRESS_FIELD)

    @staticmethod
    def _proxy_removal_problems(binding: MessagingBinding | None) -> Iterator[ConversationsError]:
        """Yield an error if the change cannot remove the proxy address.

        Only an SMS participant with an address and a proxy address can lose the proxy address. The participant then
        becomes a member of a group MMS. Therefore a group MMS must permit its address (see `is_group_number`).
        """
        if binding is None or binding.pair is None or binding.type is not Channel.SMS:
            yield ProxyAddressNotRemovableError(field=PROXY_ADDRESS_FIELD)
        elif not is_group_number(binding.pair[0]):
            wanted = f"kept unless the address is {WANTED_GROUP_NUMBER}"
            yield InvalidAddressError(field=PROXY_ADDRESS_FIELD, wanted=wanted)

    def _projected_problems(
        self, binding: MessagingBinding | None, *, has_identity: bool
    ) -> Iterator[ConversationsError]:
        """Yield an error if the change cannot set, replace or remove the projected address."""
        if self.messaging_binding_projected_address is not None:
            if binding and binding.address:
                yield ProjectedAddressNotAddableError(field=PROJECTED_ADDRESS_FIELD)
        elif binding is None or binding.projected_address is None:
            yield ProjectedAddressNotRemovableError(field=PROJECTED_ADDRESS_FIELD)
        elif not has_identity:
            yield IdentityMissingError(field=PROJECTED_ADDRESS_FIELD)

    def _binding(self, binding: MessagingBinding | None) -> MessagingBinding | None:
        """Return the binding after the change, or None if the participant then has no binding.

        A change that removes the projected address also removes the binding, because the binding would be empty.
        """
        if "messaging_binding_projected_address" in self.model_fields_set:
            projected = self.messaging_binding_projected_address
            return MessagingBinding(type=Channel.SMS, projected_address=projected) if projected else None
        if binding and "messaging_binding_proxy_address" in self.model_fields_set:
            return binding.model_copy(update={"proxy_address": self.messaging_binding_proxy_address})
        return binding
