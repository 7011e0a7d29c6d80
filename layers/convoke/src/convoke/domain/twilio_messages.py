"""Convert a webhook request of Twilio Programmable Messaging to an inbound message.

See https://www.twilio.com/docs/messaging/guides/webhook-request.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from itertools import count, takewhile

from convoke.domain.inbound_messages import InboundMessage
from convoke.domain.senders import Provider


def inbound_message(parameters: Mapping[str, str]) -> InboundMessage:
    """Return the inbound message that a webhook request of Twilio contains.

    In a group MMS, `OtherRecipients0`, `OtherRecipients1` and so on contain the receivers other than `To`. `MediaUrl0`,
    `MediaUrl1` and so on contain the URLs of the media.

    Raises pydantic's ValidationError if a parameter is not valid, or if `From`, `To` or `MessageSid` is missing.
    """
    sender, business = parameters.get("From", ""), parameters.get("To", "")
    others = dict.fromkeys(each for each in _numbered(parameters, "OtherRecipients") if each not in (sender, business))
    return InboundMessage(
        sender=sender,
        business_address=business,
        other_receivers=tuple(others),
        body=parameters.get("Body", ""),
        media_urls=tuple(_numbered(parameters, "MediaUrl")),
        provider=Provider.TWILIO,
        provider_message_id=parameters.get("MessageSid", ""),
    )


def _numbered(parameters: Mapping[str, str], name: str) -> Iterator[str]:
    """Yield the values of the parameters `{name}0`, `{name}1` and so on."""
    names = takewhile(parameters.__contains__, (f"{name}{number}" for number in count()))
    return (parameters[each] for each in names)
