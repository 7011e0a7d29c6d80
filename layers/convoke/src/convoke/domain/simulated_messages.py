"""The parameters of the messages that simulated phones send to business numbers, and the carrier's automatic answers.

See docs/behaviour/inbound-messages.md#simulated-phones.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Annotated, ClassVar

from pydantic import AfterValidator, BeforeValidator, Field

from convoke.domain.errors import (
    AddressEmptyError,
    ConversationsError,
    InvalidAddressError,
    InvalidParameterError,
    MessageTooLongError,
)
from convoke.domain.inbound_messages import Keyword
from convoke.domain.json_schema import sid_schema
from convoke.domain.media import MAX_MEDIA
from convoke.domain.messages import Body
from convoke.domain.model import Model
from convoke.domain.participants import Address
from convoke.domain.sids import Prefix, parse_sid

ANSWERS: Mapping[Keyword, str] = {
    Keyword.STOP: "You will get no more messages from this number. Reply START to get them again.",
    Keyword.START: "You will get messages from this number again. Reply STOP to get none, HELP for help.",
    Keyword.HELP: "Reply STOP to get no more messages from this number. Message and data rates may apply.",
}
"""Maps each keyword to the text of the simulated carrier's automatic answer."""


def split_addresses(values: object) -> object:
    """Return the addresses in `values` without duplicates. Each value contains one address, or several with commas."""
    texts = values if isinstance(values, list) else []
    return tuple(dict.fromkeys(part.strip() for text in texts for part in text.split(",")))


def check_receivers(receivers: tuple[str, ...]) -> tuple[str, ...]:
    if not receivers:
        raise AddressEmptyError
    return receivers


def check_message_sid(sid: str) -> str:
    parsed = parse_sid(sid, Prefix.SMS) or parse_sid(sid, Prefix.MMS)
    if parsed is None:
        raise InvalidParameterError(wanted="SM or MM and 32 hexadecimal digits")
    return parsed


def check_media_url(url: str) -> str:
    if not re.fullmatch(r"https?://[!-~]{1,2000}", url):
        raise InvalidParameterError(wanted="an absolute URL with http or https")
    return url


def check_media_urls(urls: tuple[str, ...]) -> tuple[str, ...]:
    if len(urls) > MAX_MEDIA:
        raise InvalidParameterError(wanted=f"at most {MAX_MEDIA} URLs")
    return urls


MediaUrl = Annotated[str, AfterValidator(check_media_url)]


class NewSimulatedMessage(Model):
    """The parameters of a request that sends a message from a simulated phone."""

    order_of_checks: ClassVar[tuple[type[ConversationsError], ...]] = (
        AddressEmptyError,
        InvalidAddressError,
        MessageTooLongError,
        InvalidParameterError,
    )

    # With `validate_default`, a missing parameter causes the same error as an empty parameter.
    from_: Address = Field(default="", validate_default=True)
    to: Annotated[tuple[Address, ...], BeforeValidator(split_addresses), AfterValidator(check_receivers)] = Field(
        default=(), validate_default=True
    )
    """The receivers, in the order of the request. A message to several receivers is a group MMS."""
    body: Body | None = None
    media_url: Annotated[tuple[MediaUrl, ...], AfterValidator(check_media_urls)] = ()
    message_sid: Annotated[str, AfterValidator(check_message_sid), sid_schema(Prefix.SMS)] | None = None
    """The carrier's id of the message. A second request with the same id simulates a repeated delivery."""
