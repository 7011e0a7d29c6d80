"""The statuses and error codes of Twilio Programmable Messaging, and the URL to which Twilio reports a status.

See https://www.twilio.com/docs/messaging/guides/outbound-message-status-in-status-callbacks and
https://www.twilio.com/docs/api/errors.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from types import MappingProxyType
from urllib.parse import urlencode

from convoke.domain.copies import Copy
from convoke.domain.errors import (
    CarrierFailedError,
    CopyBlockedError,
    CopyDelayedTooLongError,
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
from convoke.domain.senders import Sender
from convoke.domain.sids import Prefix, parse_sid

STATUS_PATH = "/convoke/v1/Statuses/Twilio"

TOO_MANY_QUEUED = 21611
"""The error code with which Twilio refuses a message if the queue of the sender at Twilio is full."""

REASONS: Mapping[int, type[LogEntry]] = MappingProxyType(
    {
        21211: PhoneUnknownError,
        21212: SenderMissingError,
        21606: SenderMissingError,
        21610: OptedOutError,
        21612: PhoneUnreachableError,
        21614: LandlineError,
        21623: MediaNotCarriedError,
        21659: SenderMissingError,
        21660: SenderMissingError,
        30001: CopyDelayedTooLongError,
        30003: PhoneUnreachableError,
        30004: CopyBlockedError,
        30005: PhoneUnknownError,
        30006: LandlineError,
        30007: CopyFilteredError,
        30019: MediaNotCarriedError,
        30034: CopyFilteredError,
    }
)
"""Maps error codes of Twilio to log entries. See `reason_of` for all other codes.

Twilio reports the codes above 30000 in a status callback. Twilio returns the lower codes in the response to a call.
"""

STATUSES: Mapping[str, ReceiptStatus] = MappingProxyType(
    {
        "sent": ReceiptStatus.SENT,
        "delivered": ReceiptStatus.DELIVERED,
        "read": ReceiptStatus.READ,
        "undelivered": ReceiptStatus.UNDELIVERED,
        "failed": ReceiptStatus.FAILED,
    }
)
"""Maps Twilio's statuses to receipt statuses. Any other status, such as `queued`, does not change a receipt."""

FAILURES = frozenset({ReceiptStatus.UNDELIVERED, ReceiptStatus.FAILED})


def reason_of(code: int) -> type[LogEntry]:
    """Return the log entry for an error code of Twilio. The entry for a code that is not in REASONS has code 30008."""
    return REASONS.get(code, CarrierFailedError)


def status_url(public_url: str, sender: Sender, receipt: Receipt) -> str:
    """Return the URL to which Twilio reports the statuses of a copy.

    The query contains the SIDs of the copy. An attacker cannot replace them, because Twilio signs the whole URL.
    """
    query = {
        "ConversationSid": receipt.conversation_sid,
        "MessageSid": receipt.message_sid,
        "ReceiptSid": receipt.sid,
    }
    return f"{public_url}{STATUS_PATH}/{sender.sid}?{urlencode(query)}"


def copy_in(account_sid: str, query: Mapping[str, str]) -> Copy | None:
    """Return the copy that the query of a status URL names, or None if a SID is missing or not valid."""
    conversation_sid = parse_sid(query.get("ConversationSid", ""), Prefix.CONVERSATION)
    message_sid = parse_sid(query.get("MessageSid", ""), Prefix.MESSAGE)
    receipt_sid = parse_sid(query.get("ReceiptSid", ""), Prefix.RECEIPT)
    if not (conversation_sid and message_sid and receipt_sid):
        return None
    return Copy(
        account_sid=account_sid,
        conversation_sid=conversation_sid,
        message_sid=message_sid,
        receipt_sid=receipt_sid,
    )


def status_in(parameters: Mapping[str, str]) -> tuple[ReceiptStatus | None, type[LogEntry] | None]:
    """Return the status in the parameters of a status callback, and the log entry for a failure.

    The status is None if the reported status does not change a receipt. The log entry is None if the copy did not fail.
    """

    status = STATUSES.get(parameters.get("MessageStatus", "").lower())
    code = parameters.get("ErrorCode", "")
    return status, reason_of(int(code) if re.fullmatch("[0-9]{1,9}", code) else 0) if status in FAILURES else None
