"""The delivery summary of a message counts its receipts by status (domain/receipts.py)."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from convoke.domain.receipts import DeliverySummary, Receipt, ReceiptStatus

SUMMARIES = {
    "sent sent": ("all", "none", "none", "none", "none"),
    "sent delivered": ("all", "some", "none", "none", "none"),
    "delivered read": ("all", "all", "some", "none", "none"),
    "read read": ("all", "all", "all", "none", "none"),
    "failed read": ("some", "some", "some", "some", "none"),
    "failed failed": ("none", "none", "none", "all", "none"),
    "undelivered sent": ("all", "none", "none", "none", "some"),
}
"""Maps the statuses of two receipts to a summary. Its order is sent, delivered, read, failed and undelivered."""


def receipt(status: str) -> Receipt:
    return Receipt(
        account_sid="AC" + "0" * 32,
        conversation_sid="CH" + "0" * 32,
        sid="DY" + "0" * 32,
        message_sid="IM" + "0" * 32,
        channel_message_sid="SM" + "0" * 32,
        participant_sid="MB" + "0" * 32,
        status=ReceiptStatus(status),
        date_created=datetime(2026, 1, 2, tzinfo=UTC),
    )


@pytest.mark.parametrize("statuses", SUMMARIES)
def test_delivery_summary_counts_each_status_a_receipt_has_passed(statuses: str) -> None:
    summary = DeliverySummary.of([receipt(status) for status in statuses.split()])
    assert summary is not None
    sent, delivered, read, failed, undelivered = SUMMARIES[statuses]
    assert summary.model_dump(mode="json") == {
        "total": 2,
        "sent": sent,
        "delivered": delivered,
        "read": read,
        "failed": failed,
        "undelivered": undelivered,
    }


def test_message_without_receipts_has_no_delivery_summary() -> None:
    assert DeliverySummary.of([]) is None
