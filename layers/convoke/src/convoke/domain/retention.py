"""How long Convoke keeps data that it deletes automatically.

Other lifetimes are in idempotency.py, media.py (uploads that no message uses), console_codes.py,
storage/sending_limits.py and storage/circuit_breakers.py. See docs/behaviour/limits.md#times.
"""

from __future__ import annotations

from datetime import timedelta

LEDGER_LIFETIME = timedelta(days=30)
"""How long events, event attempts and alerts are stored."""

WEBHOOKS_RETENTION = timedelta(days=14)
"""How long Convoke keeps the webhooks of a deleted conversation, to deliver the last events of the conversation.

SQS keeps a dead letter for the same time. See docs/decisions/0051-webhooks-outlive-conversation.md.
"""

REMOVALS_LIFETIME = timedelta(days=7)
"""How long Convoke keeps the records of deleted and edited messages, and of participants that left a conversation.

A chat client that connects again within this time gets the changes that it has missed.
"""

SETTLING_TIME = timedelta(seconds=60)
"""The minimum time for which Convoke keeps the tombstone of a deleted User or service.

During this time, caches and indexes may be outdated, and requests that started before the deletion may be running.
After this time, operations/due_services.py and operations/due_users.py determine when the tombstone is erased.
Exception: Convoke may erase the tombstone of a User earlier if the service of the User is deleted too.
"""

INBOUND_RECORD_LIFETIME = timedelta(days=30)
"""How long Convoke recognizes a repeated delivery of an inbound message.

Amazon SNS repeats a failed delivery to Lambda for 23 days. See
https://docs.aws.amazon.com/sns/latest/dg/sns-message-delivery-retries.html.
"""

PHONE_MESSAGE_LIFETIME = timedelta(days=7)
"""How long Convoke keeps a message that a simulated phone received or sent."""

GROUP_COPY_LIFETIME = timedelta(days=90)
"""How long Convoke keeps the date on which a phone last got a separate copy of a message to a group.

Convoke sends separate copies if the carrier cannot send a group MMS. If the phone answers, Convoke finds the group by
this date.
"""
