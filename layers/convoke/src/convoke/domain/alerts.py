"""The error log: what went wrong after a request was accepted (reference, b.1 step 4)."""

from __future__ import annotations

from convoke.domain.instants import Instant
from convoke.domain.model import Model
from convoke.domain.provisioning import Cause


class Alert(Model):
    """One entry. `resource_sid` names what it is about; `causes` what led to it. Never personal data."""

    sid: str
    account_sid: str
    resource_sid: str
    code: int
    text: str
    causes: tuple[Cause, ...]
    date_created: Instant
