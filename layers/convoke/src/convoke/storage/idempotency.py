"""Store idempotency records.

A record contains the result of a request. The key of a record contains the Idempotency-Key of the request.
"""

from __future__ import annotations

from convoke.domain.idempotency import IdempotencyRecord
from convoke.storage import items, keys
from convoke.storage.table import EXPIRES_AT, LessThan, NotExists, Or, Put


def idempotency_record_write(record: IdempotencyRecord) -> Put:
    """Return the write that stores a record. The write fails if an unexpired record with this key exists.

    The condition of the write checks the expiry date, because an expired record may still exist in DynamoDB for some
    days. See https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/TTL.html.
    """
    key = keys.idempotency_record(record.conversation.account_sid, record.key)
    unused = Or((NotExists("pk"), LessThan(EXPIRES_AT, items.epoch_seconds(record.date_created))))
    return Put(items.with_expiry(items.to_item(key, record), record.date_expires), unused)
