"""Store idempotency records. A record contains the result of a request, and its key is the Idempotency-Key."""

from __future__ import annotations

from convoke.domain.idempotency import IdempotencyRecord
from convoke.storage import items, keys
from convoke.storage.table import EXPIRES_AT, LessThan, NotExists, Or, Put


def idempotency_record_write(record: IdempotencyRecord) -> Put:
    """Return the write that stores a record. Its condition fails if an unexpired record with the same key exists.

    The condition compares the expiry date, because DynamoDB may delete an expired item only days later. See
    https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/TTL.html.
    """
    key = keys.idempotency_record(record.conversation.account_sid, record.key)
    unused = Or((NotExists("pk"), LessThan(EXPIRES_AT, items.epoch_seconds(record.date_created))))
    return Put(items.with_expiry(items.to_item(key, record), record.date_expires), unused)
