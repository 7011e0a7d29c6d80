"""Convert a notification of AWS End User Messaging SMS to an inbound message.

See https://docs.aws.amazon.com/sms-voice/latest/userguide/two-way-sms-payload.html.
"""

from __future__ import annotations

from collections.abc import Mapping

from convoke.domain.inbound_messages import InboundMessage
from convoke.domain.senders import Provider


def inbound_message(payload: Mapping[str, str]) -> InboundMessage:
    """Return the inbound message that an SNS notification contains. `payload` is the parsed JSON of the notification.

    Raises pydantic's ValidationError if a field is not valid, or if `originationNumber`, `destinationNumber` or
    `inboundMessageId` is missing.
    """
    return InboundMessage(
        sender=payload.get("originationNumber", ""),
        business_address=payload.get("destinationNumber", ""),
        body=payload.get("messageBody", ""),
        provider=Provider.AWS,
        provider_message_id=payload.get("inboundMessageId", ""),
    )
