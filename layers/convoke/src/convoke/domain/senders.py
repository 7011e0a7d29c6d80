"""The Sender resource: a business number, the account to which it belongs, and the carrier that sends its messages.

See docs/phones.md#senders.
"""

from __future__ import annotations

from enum import StrEnum

from convoke.domain.instants import Instant
from convoke.domain.model import Model


class Provider(StrEnum):
    SIMULATED = "simulated"
    """The simulator of the embedded engine. It reaches no real phone."""
    TWILIO = "twilio"
    """Programmable Messaging of Twilio, with the credentials of the account's owner."""
    AWS = "aws"
    """AWS End User Messaging SMS, in the AWS account of the deployment. The operator assigns such senders."""


class Sender(Model):
    """A stored sender. It contains no secret."""

    account_sid: str
    sid: str
    address: str
    """The business number or address. It belongs to one account only."""
    provider: Provider
    provider_account_sid: str | None = None
    """The Account SID at Twilio. None for the other providers."""
    origination_identity: str | None = None
    """The ARN of the phone number in AWS End User Messaging. None for the other providers."""
    date_created: Instant
    date_updated: Instant
