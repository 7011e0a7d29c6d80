"""Idempotency records: the items under which a request is found again."""

from __future__ import annotations

from convoke.domain.idempotency import IdempotencyRecord
from convoke.storage import items, keys
from convoke.storage.table import EXPIRES_AT, LessThan, NotExists, Or, Put


def record(made: IdempotencyRecord) -> Put:
    """Refused where the key is in use. A record that has expired is not in the way, whether it is gone yet or not."""
    key = keys.idempotency_record(made.conversation.account_sid, made.key)
    unused = Or((NotExists("pk"), LessThan(EXPIRES_AT, items.seconds(made.date_created))))
    return Put(items.expiring(items.item(key, made), made.date_expires), unused)
