"""The delivery events of AWS End User Messaging SMS, and the reasons for which AWS refuses to send a copy.

See https://docs.aws.amazon.com/sms-voice/latest/userguide/configuration-sets-event-types.html.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, NamedTuple

from convoke.domain.copies import Copy
from convoke.domain.errors import (
    CarrierFailedError,
    CopyBlockedError,
    CopyFilteredError,
    LandlineError,
    LogEntry,
    MediaNotCarriedError,
    OptedOutError,
    PhoneUnknownError,
    PhoneUnreachableError,
    SenderMissingError,
)
from convoke.domain.receipts import Receipt, ReceiptStatus

REASONS: Mapping[str, type[LogEntry]] = MappingProxyType(
    {
        "COUNTRY_NOT_ENABLED": CopyBlockedError,
        "DESTINATION_COUNTRY_BLOCKED": CopyBlockedError,
        "DESTINATION_COUNTRY_BLOCKED_BY_PROTECT_CONFIGURATION": CopyBlockedError,
        "DESTINATION_PHONE_NUMBER_BLOCKED_BY_PROTECT_NUMBER_OVERRIDE": CopyBlockedError,
        "DESTINATION_PHONE_NUMBER_NOT_VERIFIED": CopyBlockedError,
        "DESTINATION_PHONE_NUMBER_OPTED_OUT": OptedOutError,
        "INTERNATIONAL_SENDING_NOT_SUPPORTED": CopyBlockedError,
        "INVALID_ARN": SenderMissingError,
        "INVALID_IDENTITY_FOR_DESTINATION_COUNTRY": CopyBlockedError,
        "MEDIA_TYPE_NOT_SUPPORTED": MediaNotCarriedError,
        "MESSAGE_TYPE_MISMATCH": SenderMissingError,
        "NO_ORIGINATION_IDENTITIES_FOUND": SenderMissingError,
        "NUMBER_CAPABILITIES_MISMATCH": SenderMissingError,
        "RESOURCE_NOT_ACCESSIBLE": SenderMissingError,
        "RESOURCE_NOT_ACTIVE": SenderMissingError,
    }
)
"""Maps the reasons for which AWS refuses a copy to log entries. For any other reason, Convoke logs the code 30008."""


class Outcome(NamedTuple):
    status: ReceiptStatus
    entry: type[LogEntry] | None = None


EVENTS: Mapping[str, Outcome] = MappingProxyType(
    {
        "SENT": Outcome(ReceiptStatus.SENT),
        "SUCCESSFUL": Outcome(ReceiptStatus.DELIVERED),
        "DELIVERED": Outcome(ReceiptStatus.DELIVERED),
        "INVALID": Outcome(ReceiptStatus.UNDELIVERED, PhoneUnknownError),
        "INVALID_MESSAGE": Outcome(ReceiptStatus.FAILED, CarrierFailedError),
        "UNREACHABLE": Outcome(ReceiptStatus.UNDELIVERED, PhoneUnreachableError),
        "CARRIER_UNREACHABLE": Outcome(ReceiptStatus.UNDELIVERED, LandlineError),
        "BLOCKED": Outcome(ReceiptStatus.UNDELIVERED, CopyBlockedError),
        "CARRIER_BLOCKED": Outcome(ReceiptStatus.UNDELIVERED, CopyFilteredError),
        "PROTECT_BLOCKED": Outcome(ReceiptStatus.UNDELIVERED, CopyBlockedError),
        "SPAM": Outcome(ReceiptStatus.UNDELIVERED, CopyFilteredError),
        "FILE_INACCESSIBLE": Outcome(ReceiptStatus.FAILED, CarrierFailedError),
        "FILE_SIZE_EXCEEDED": Outcome(ReceiptStatus.FAILED, MediaNotCarriedError),
        "FILE_TYPE_UNSUPPORTED": Outcome(ReceiptStatus.FAILED, MediaNotCarriedError),
        "TTL_EXPIRED": Outcome(ReceiptStatus.UNDELIVERED, PhoneUnreachableError),
    }
)
"""Maps the types of delivery events to outcomes. The types are without the prefix `TEXT_` (SMS) or `MEDIA_` (MMS).

The event types about files exist only for MMS. `SUCCESSFUL` and `DELIVERED` have the same meaning: the country
determines which of them AWS uses.

An event type that is not in this mapping changes no receipt. For example, AWS sends `UNKNOWN` if the carrier reports
nothing for 72 hours. The status of the receipt then stays `sent`.
"""


def context_of(receipt: Receipt) -> dict[str, str]:
    """Return the SIDs that Convoke sends to AWS with a copy. AWS repeats them in each delivery event of the copy."""
    return {
        "account": receipt.account_sid,
        "conversation": receipt.conversation_sid,
        "message": receipt.message_sid,
        "receipt": receipt.sid,
    }


def copy_in(event: Mapping[str, Any]) -> Copy | None:
    """Return the copy that a delivery event is about, or None if the event is not about a copy of Convoke."""
    context = event.get("context") or {}
    if not {"account", "conversation", "message", "receipt"} <= set(context):
        return None
    return Copy(
        account_sid=context["account"],
        conversation_sid=context["conversation"],
        message_sid=context["message"],
        receipt_sid=context["receipt"],
    )


def outcome_in(event: Mapping[str, Any]) -> Outcome | None:
    """Return the outcome that a delivery event reports, or None if the event changes no receipt."""
    _, _, kind = str(event.get("eventType", "")).partition("_")
    return EVENTS.get(kind)
