"""Record a new status of a copy, the event about the status, and an alert if the copy has failed.

See docs/behaviour/receipts.md#statuses.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from types import MappingProxyType

from convoke.domain.alerts import copy_failed_alert
from convoke.domain.copies import Copy
from convoke.domain.errors import LogEntry
from convoke.domain.events import delivery_updated
from convoke.domain.instants import Clock
from convoke.domain.receipts import ReceiptStatus
from convoke.domain.sids import NewSid, Prefix
from convoke.lean_dataclass import lean_dataclass
from convoke.storage.copies import CopyRepository, ReceiptChangedError, StoredCopy
from convoke.storage.table import Write

logger = logging.getLogger(__name__)

NO_FIELDS: Mapping[str, str] = MappingProxyType({})


@lean_dataclass
class CopyStatuses:
    copies: CopyRepository
    now: Clock
    new_sid: NewSid

    def record(self, copy: Copy, status: ReceiptStatus, entry: type[LogEntry] | None = None) -> bool:
        """Record a status that a carrier has reported for a copy. Return whether the receipt of the copy exists.

        `entry` is the reason why the copy failed, or None. Reports can arrive in any order. Therefore a report changes
        nothing if the stored status cannot become the reported status.
        """
        while stored := self.copies.fetch(copy):
            if not stored.receipt.can_become(status):
                return True
            try:
                self._change(stored, status, entry)
            except ReceiptChangedError:
                continue
            return True
        return False

    def conclude(
        self,
        stored: StoredCopy,
        status: ReceiptStatus,
        entry: type[LogEntry] | None = None,
        *,
        fields: Mapping[str, str] = NO_FIELDS,
        other_writes: Sequence[Write] = (),
    ) -> StoredCopy | None:
        """Store a status that follows from a check in Convoke or from the carrier's answer to a call, and its event.

        Return the copy with this status. Return None if the write raises ReceiptChangedError.

        `entry` is the reason why the copy failed, or None. With `entry`, also store an alert. `fields` are further
        fields of the receipt to change. `other_writes` belong to the same transaction.
        """
        try:
            return self._change(stored, status, entry, fields, other_writes)
        except ReceiptChangedError:
            logger.info("the status of a copy has changed meanwhile", extra=context_of(stored))
            return None

    def _change(
        self,
        stored: StoredCopy,
        status: ReceiptStatus,
        entry: type[LogEntry] | None,
        fields: Mapping[str, str] = NO_FIELDS,
        other_writes: Sequence[Write] = (),
    ) -> StoredCopy:
        """Store a new status and its event, and return the copy with the new status.

        `entry` is the reason why the copy failed, or None. With `entry`, also store an alert. Raises
        ReceiptChangedError if the receipt was changed or the message was deleted after `stored` was read, or if a
        condition of `other_writes` fails.
        """
        now = self.now()
        update = {"status": status, "date_updated": now, "error_code": entry.code if entry else 0, **fields}
        receipt = stored.receipt.model_copy(update=update)
        change = delivery_updated(self.new_sid(Prefix.CHANGE), stored.conversation, receipt, at=now)
        alert = copy_failed_alert(stored.conversation, receipt, entry, now) if entry else None
        self.copies.change(stored, receipt, change, alert, other_writes)
        if entry:
            logger.warning("a copy was not delivered", extra={**context_of(stored), "error_code": entry.code})
        return stored._replace(receipt=receipt)


def context_of(stored: StoredCopy) -> dict[str, str]:
    """Return the fields that identify a copy in a log line. The fields contain no address."""
    receipt = stored.receipt
    return {
        "account_sid": receipt.account_sid,
        "conversation_sid": receipt.conversation_sid,
        "message_sid": receipt.message_sid,
        "receipt_sid": receipt.sid,
    }
