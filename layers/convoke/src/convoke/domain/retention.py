"""How long Convoke keeps data that it deletes automatically.

The lifetime of idempotency records is in domain/idempotency.py. See docs/behaviour/limits.md#times.
"""

from __future__ import annotations

from datetime import timedelta

LEDGER_LIFETIME = timedelta(days=30)
"""How long events, event attempts and alerts are stored."""

WEBHOOKS_RETENTION = timedelta(days=14)
"""How long the webhooks of a deleted conversation are kept.

During this time, the last events of the conversation can still be delivered. SQS keeps a dead letter for the same time.
See docs/decisions/0051-webhooks-outlive-conversation.md.
"""

REMOVALS_LIFETIME = timedelta(days=7)
"""How long Convoke remembers which messages were deleted or edited, and who left a conversation.

A chat client that was away for a shorter time gets these changes when it connects again. A token of a chat client is
valid for at most 24 hours.
"""

SETTLING_TIME = timedelta(seconds=60)
"""The minimum time for which the tombstone of a deleted User or service is kept.

Before this time, caches and indexes may be outdated, and requests that read the User or the service before its deletion
may still be running. operations/due_services.py and operations/due_users.py decide when the tombstone is erased.
"""

INBOUND_RECORD_LIFETIME = timedelta(days=30)
"""How long Convoke recognizes that a carrier delivers an inbound message again.

Amazon SNS repeats a failed delivery to Lambda for 23 days. See
https://docs.aws.amazon.com/sns/latest/dg/sns-message-delivery-retries.html.
"""

PHONE_MESSAGE_LIFETIME = timedelta(days=7)
"""How long a message stays in the inbox of a simulated phone."""

GROUP_COPY_LIFETIME = timedelta(days=90)
"""How long after the last copy of a group's message the answer of a phone still finds the group."""
