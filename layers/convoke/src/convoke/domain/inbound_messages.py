"""The messages that phones send to business addresses, and the rules that find the conversation of such a message.

See docs/behaviour/inbound-messages.md.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from enum import StrEnum
from typing import Annotated

from pydantic import Field

from convoke.domain.addresses import Channel, channel_of
from convoke.domain.conversations import Conversation, State
from convoke.domain.errors import (
    AddressEqualsProxyError,
    ChannelMismatchError,
    DuplicateGroupMemberError,
    GroupTooLargeError,
    InvalidAddressError,
)
from convoke.domain.events import Payload, Source, media_json
from convoke.domain.groups import MAX_GROUP_PARTICIPANTS, WANTED_GROUP_NUMBER, is_group_number
from convoke.domain.instants import Instant
from convoke.domain.media import Media
from convoke.domain.messages import Body, Message, NewPhoneMessage
from convoke.domain.model import Model
from convoke.domain.participants import Address, NewBinding, NewParticipant, ProxyAddress
from convoke.domain.pre_events import PreEvent, conversation_add
from convoke.domain.retention import INBOUND_RECORD_LIFETIME
from convoke.domain.senders import Provider

SOURCES: Mapping[Channel | None, Source] = {Channel.WHATSAPP: Source.WHATSAPP}
"""Maps the channel of an inbound message to the parameter `Source` in events. `Source` is `SMS` for other channels."""


class Keyword(StrEnum):
    """A request to the carrier that a phone makes with a single word, such as STOP.

    Each carrier lists the phones that refuse messages from a business number. STOP adds the phone to this list, and
    START removes the phone. HELP asks for information and does not change the list.
    """

    STOP = "STOP"
    START = "START"
    HELP = "HELP"


KEYWORDS: Mapping[str, Keyword] = {
    **dict.fromkeys(("stop", "stopall", "unsubscribe", "cancel", "end", "quit"), Keyword.STOP),
    **dict.fromkeys(("start", "unstop", "yes"), Keyword.START),
    **dict.fromkeys(("help", "info"), Keyword.HELP),
}
"""Maps the words that carriers recognize to keywords, such as `unsubscribe` to STOP. The words are in lower case."""


class Outcome(StrEnum):
    """The result of processing an inbound message."""

    ADDED = "added"
    REPEATED = "repeated"
    """The carrier delivered a message that Convoke had stored before."""
    REJECTED = "rejected"
    """The receiver of a pre-event rejected the message, or the conversation that Convoke would create for it."""
    UNCLAIMED = "unclaimed"
    """The message belongs to no conversation, and no address configuration creates a conversation for it.

    Convoke then adds the message to no conversation, and sends no events.
    """


class Received(Model):
    """The result of processing an inbound message, and the SIDs of the stored message and its conversation."""

    outcome: Outcome
    conversation_sid: str | None = None
    message_sid: str | None = None


class InboundRecord(Model):
    """A record of a stored inbound message.

    A carrier can deliver the same message more than once. With this record, Convoke recognizes a repeated delivery.
    """

    account_sid: str
    provider: Provider
    provider_message_id: str
    conversation_sid: str
    message_sid: str
    date_created: Instant

    @property
    def date_expires(self) -> datetime:
        return self.date_created + INBOUND_RECORD_LIFETIME


class InboundMessage(Model):
    """A message from a phone, with the data that the carrier delivers."""

    sender: Address
    """The phone that has sent the message. In other modules, a sender is usually the resource `Sender`."""
    business_address: ProxyAddress
    """The address at which the message arrived."""
    other_receivers: tuple[Address, ...] = ()
    """The receivers of a group MMS other than the business address. Empty if the message has only one receiver."""
    body: Body | None = None
    media_urls: tuple[str, ...] = ()
    """The URLs at which the provider serves the media of the message."""
    provider: Provider
    provider_message_id: Annotated[str, Field(min_length=1)]
    """The id of the message at the provider. Repeated deliveries of a message have the same id."""

    def check_addresses(self) -> None:
        """Raise an error if no conversation can have these addresses.

        The errors name the fields `from_` and `to` of a simulated message.
        """
        if self.sender == self.business_address:
            raise AddressEqualsProxyError(field="to")
        if channel_of(self.sender) is not channel_of(self.business_address):
            raise ChannelMismatchError(field="to")
        if self.is_group:
            self._check_group()

    def _check_group(self) -> None:
        if len(self.numbers) < 1 + len(self.receivers):
            raise DuplicateGroupMemberError(field="to")
        if len(self.numbers) > MAX_GROUP_PARTICIPANTS:
            raise GroupTooLargeError(field="to")
        if not is_group_number(self.sender):
            raise InvalidAddressError(field="from_", wanted=WANTED_GROUP_NUMBER)
        if not all(map(is_group_number, self.receivers)):
            raise InvalidAddressError(field="to", wanted=WANTED_GROUP_NUMBER)

    @property
    def source(self) -> Source:
        return SOURCES.get(channel_of(self.sender), Source.SMS)

    @property
    def is_group(self) -> bool:
        """Whether the message has several receivers. If so, the message belongs to a group MMS with these `numbers`."""
        return bool(self.other_receivers)

    @property
    def receivers(self) -> tuple[str, ...]:
        return (self.business_address, *self.other_receivers)

    @property
    def reached(self) -> tuple[str, ...]:
        """The receivers if the message is a group MMS, otherwise empty.

        The carrier delivers a group MMS directly to all receivers. Therefore Convoke sends no copy to these addresses.
        """
        return self.receivers if self.is_group else ()

    @property
    def numbers(self) -> frozenset[str]:
        """The numbers of the sender and of all receivers. This set of numbers identifies a group MMS."""
        return frozenset({self.sender, *self.receivers})

    @property
    def keyword(self) -> Keyword | None:
        """The keyword if the whole text is a word of KEYWORDS, else None. Case and surrounding spaces do not matter."""
        return KEYWORDS.get((self.body or "").strip().casefold())

    @property
    def binding_payload(self) -> Payload:
        """The parameters `MessagingBinding.*` of the event about a conversation that this message creates.

        Applications recognize a group by the parameter `MessagingBinding.AuthorAddress`.
        """
        if self.is_group:
            return {
                "MessagingBinding.AuthorAddress": self.sender,
                "MessagingBinding.Address": ",".join(self.receivers),
            }
        return {
            "MessagingBinding.Address": self.sender,
            "MessagingBinding.ProxyAddress": self.business_address,
        }

    def pre_event(self, conversation: Conversation, media: Sequence[Media]) -> PreEvent:
        """Return the pre-event for the conversation that the message is about to create."""
        subject, (event_type, payload) = conversation_add(conversation)
        content = {"MessageBody": self.body, "Media": media_json([each.in_message for each in media])}
        return PreEvent(subject, (event_type, {**payload, **self.binding_payload, **content}))

    def message(self, media_sids: tuple[str, ...]) -> NewPhoneMessage:
        """Return the parameters that create this message in the conversation.

        `media_sids` are the SIDs of the media that Convoke fetched from the provider.
        """
        has_lost_media = len(media_sids) < len(self.media_urls)
        return NewPhoneMessage(author=self.sender, body=self.body, media_sids=media_sids, has_lost_media=has_lost_media)

    def participants(self) -> tuple[NewParticipant, ...]:
        """Return the participants of the conversation that the message creates. The sender comes first."""
        if not self.is_group:
            binding = NewBinding(address=self.sender, proxy_address=self.business_address)
            return (NewParticipant(messaging_binding=binding),)
        phones = [NewBinding(address=number) for number in (self.sender, *self.other_receivers)]
        bindings = [*phones, NewBinding(projected_address=self.business_address)]
        return tuple(NewParticipant(messaging_binding=binding) for binding in bindings)

    def record(self, message: Message, moment: datetime) -> InboundRecord:
        """Return the record about this inbound message. `message` is the stored message of the conversation."""
        return InboundRecord(
            account_sid=message.account_sid,
            provider=self.provider,
            provider_message_id=self.provider_message_id,
            conversation_sid=message.conversation_sid,
            message_sid=message.sid,
            date_created=moment,
        )


def is_open(conversation: Conversation) -> bool:
    """Return whether inbound messages can be added to the conversation."""
    return conversation.state in (State.ACTIVE, State.INACTIVE)


def can_answer_in(conversation: Conversation, inbound: InboundMessage) -> bool:
    """Return whether an inbound message to one receiver can be an answer to the group MMS `conversation`.

    A carrier that cannot send a group MMS sends a separate copy to each member. A member's answer to such a copy goes
    only to the business number, and not to the other members.
    """
    is_member = any(member.group_address == inbound.sender for member in conversation.bound)
    projects = any(member.projected_address == inbound.business_address for member in conversation.bound)
    return is_open(conversation) and is_member and projects
