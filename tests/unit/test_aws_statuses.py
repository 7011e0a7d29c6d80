"""Convoke converts delivery events of AWS End User Messaging SMS to delivery statuses (domain/aws_statuses.py)."""

from __future__ import annotations

from typing import Any

import pytest
from botocore.session import get_session

from convoke.domain.aws_statuses import EVENTS, REASONS, Outcome, copy_in, outcome_in
from convoke.domain.errors import CarrierFailedError, CopyFilteredError, MediaNotCarriedError, PhoneUnreachableError
from convoke.domain.receipts import ReceiptStatus

CONTEXT = {"account": "AC1", "conversation": "CH1", "message": "IM1", "receipt": "DY1"}


def names(shape: str) -> set[str]:
    """Return the values of the enumeration `shape` in botocore's service description."""
    found: Any = get_session().get_service_model("pinpoint-sms-voice-v2").shape_for(shape)
    return set(found.enum)


@pytest.mark.parametrize(
    ("event_type", "outcome"),
    [
        ("TEXT_DELIVERED", Outcome(ReceiptStatus.DELIVERED)),
        ("TEXT_SUCCESSFUL", Outcome(ReceiptStatus.DELIVERED)),
        ("TEXT_SPAM", Outcome(ReceiptStatus.UNDELIVERED, CopyFilteredError)),
        ("TEXT_TTL_EXPIRED", Outcome(ReceiptStatus.UNDELIVERED, PhoneUnreachableError)),
        ("MEDIA_DELIVERED", Outcome(ReceiptStatus.DELIVERED)),
        ("MEDIA_FILE_INACCESSIBLE", Outcome(ReceiptStatus.FAILED, CarrierFailedError)),
        ("MEDIA_FILE_SIZE_EXCEEDED", Outcome(ReceiptStatus.FAILED, MediaNotCarriedError)),
        ("MEDIA_FILE_TYPE_UNSUPPORTED", Outcome(ReceiptStatus.FAILED, MediaNotCarriedError)),
        ("MEDIA_PENDING", None),
        ("TEXT_QUEUED", None),
        ("TEXT_PENDING", None),
        ("TEXT_UNKNOWN", None),
        ("", None),
    ],
)
def test_delivery_event_becomes_the_matching_outcome(event_type: str, outcome: Outcome | None) -> None:
    assert outcome_in({"eventType": event_type}) == outcome


def test_event_names_the_copy_in_its_context() -> None:
    copy = copy_in({"context": CONTEXT})
    assert copy
    assert (copy.account_sid, copy.conversation_sid, copy.message_sid, copy.receipt_sid) == ("AC1", "CH1", "IM1", "DY1")


@pytest.mark.parametrize("event", [{}, {"context": None}, {"context": {"account": "bar"}}])
def test_event_of_another_message_names_no_copy(event: dict[str, Any]) -> None:
    assert copy_in(event) is None


def test_every_event_type_and_reason_exists_at_aws() -> None:
    known = {name.removeprefix("TEXT_").removeprefix("MEDIA_") for name in names("EventType")}
    assert set(EVENTS) <= known
    assert set(REASONS) <= names("ConflictExceptionReason") | names("ValidationExceptionReason")
