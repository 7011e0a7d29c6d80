"""Fetch and list alerts, which are the entries of the error log."""

from __future__ import annotations

from convoke.domain.alerts import Alert, AlertFilters
from convoke.domain.errors import NotFoundError
from convoke.domain.pages import Page, PageRequest
from convoke.domain.sids import Prefix, parse_sid
from convoke.lean_dataclass import lean_dataclass
from convoke.storage.alerts import AlertRepository


@lean_dataclass
class AlertOperations:
    alerts: AlertRepository

    def fetch(self, account_sid: str, sid: str) -> Alert:
        """Return an alert. Raises NotFoundError if the alert does not exist or belongs to another account."""
        known = parse_sid(sid, Prefix.ALERT)
        alert = known and self.alerts.fetch(account_sid, known)
        if not alert:
            raise NotFoundError
        return alert

    def list(self, account_sid: str, filters: AlertFilters, page: PageRequest) -> Page[Alert]:
        return self.alerts.list(account_sid, filters, page)
