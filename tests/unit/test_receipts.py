"""For each status, a delivery summary says whether all, some or no receipts have reached it (domain/receipts.py)."""

from __future__ import annotations

from collections import Counter

import pytest

from convoke.domain.receipts import DeliverySummary, ReceiptStatus

SUMMARIES = {
    "sent sent": ("all", "none", "none", "none", "none"),
    "sent delivered": ("all", "some", "none", "none", "none"),
    "delivered read": ("all", "all", "some", "none", "none"),
    "read read": ("all", "all", "all", "none", "none"),
    "failed read": ("some", "some", "some", "some", "none"),
    "failed failed": ("none", "none", "none", "all", "none"),
    "undelivered sent": ("all", "none", "none", "none", "some"),
}
"""Maps the statuses of two receipts to the expected summary.

The summary has values for sent, delivered, read, failed and undelivered, in this order.
"""


@pytest.mark.parametrize("statuses", SUMMARIES)
def test_delivery_summary_counts_each_status_a_receipt_has_passed(statuses: str) -> None:
    summary = DeliverySummary.of(Counter(map(ReceiptStatus, statuses.split())))
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
    assert DeliverySummary.of({}) is None
