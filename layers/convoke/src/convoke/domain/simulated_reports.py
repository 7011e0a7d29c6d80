"""The parameters of two requests about a simulated phone: report the status of a copy, and set the phone's behavior.

See docs/behaviour/inbound-messages.md#simulated-phones.
"""

from __future__ import annotations

from typing import Annotated, ClassVar

from pydantic import AfterValidator, BeforeValidator, Field

from convoke.domain.errors import ConversationsError, InvalidParameterError, InvalidSidError, LogEntry
from convoke.domain.events import ConversationSid
from convoke.domain.json_schema import IN_EITHER_CASE, pattern_schema, sid_schema, word_schema
from convoke.domain.model import Model
from convoke.domain.receipts import ReceiptStatus
from convoke.domain.service_configuration import Boolean
from convoke.domain.sids import Prefix, parse_sid
from convoke.domain.twilio_statuses import FAILURES, REASONS, STATUSES, reason_of

COUNT = "[0-9]{1,6}"

REPORTED = tuple(status for status in STATUSES.values() if status is not ReceiptStatus.SENT)
"""The statuses that a client can report for a copy.

A client cannot report `sent`, because the simulator itself sets this status.
"""


def parse_status(value: object) -> ReceiptStatus:
    status = STATUSES.get(str(value).lower())
    if status not in REPORTED:
        raise InvalidParameterError(wanted="delivered, read, undelivered or failed")
    return status


def check_message_sid(text: str) -> str:
    return _sid(text, Prefix.MESSAGE)


def check_receipt_sid(text: str) -> str:
    return _sid(text, Prefix.RECEIPT)


def parse_code(value: object) -> int:
    if str(value) not in map(str, REASONS):
        raise InvalidParameterError(wanted=f"one of {', '.join(map(str, REASONS))}")
    return int(str(value))


def parse_count(value: object) -> int:
    if not str(value).isdecimal() or len(str(value)) > 6:
        raise InvalidParameterError(wanted="a whole number")
    return int(str(value))


def _sid(text: str, prefix: Prefix) -> str:
    sid = parse_sid(text, prefix)
    if sid is None:
        raise InvalidSidError
    return sid


class NewDeliveryStatus(Model):
    """The parameters of a request that reports the status of a copy. The client acts as the simulated carrier."""

    order_of_checks: ClassVar[tuple[type[ConversationsError], ...]] = (InvalidSidError, InvalidParameterError)

    # With `validate_default`, a missing parameter causes the same error as an empty parameter.
    conversation_sid: ConversationSid = Field(default="", validate_default=True)
    message_sid: Annotated[str, AfterValidator(check_message_sid), sid_schema(Prefix.MESSAGE)] = Field(
        default="", validate_default=True
    )
    receipt_sid: Annotated[str, AfterValidator(check_receipt_sid), sid_schema(Prefix.RECEIPT)] = Field(
        default="", validate_default=True
    )
    status: Annotated[ReceiptStatus, BeforeValidator(parse_status), word_schema(REPORTED, IN_EITHER_CASE)] = Field(
        default=None, validate_default=True
    )
    error_code: Annotated[int, BeforeValidator(parse_code), pattern_schema("[0-9]{5}")] = 0

    @property
    def entry(self) -> type[LogEntry] | None:
        """The log entry for a failed copy, or None if the copy did not fail. The error code determines the entry.

        Without an error code, the entry says that the reason is unknown.
        """
        return reason_of(self.error_code) if self.status in FAILURES else None


class PhonePlan(Model):
    """The parameters of a request that sets the behavior of a simulated phone."""

    order_of_checks: ClassVar[tuple[type[ConversationsError], ...]] = (InvalidParameterError,)

    fail_next: Annotated[int, BeforeValidator(parse_count), pattern_schema(COUNT)] = 0
    """How many of the next attempts to send a copy to the phone fail. Convoke repeats a failed attempt."""
    reports_delivery: Boolean = True
    """Whether the phone reports the delivery of a copy. Without this report, the copy keeps the status `sent`."""
