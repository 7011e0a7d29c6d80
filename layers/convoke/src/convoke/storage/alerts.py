"""Alerts."""

from __future__ import annotations

from dataclasses import dataclass

from convoke.domain.alerts import Alert, AlertFilters, alert_logged_change
from convoke.domain.pages import Page, PageRequest
from convoke.storage import items, keys, lists
from convoke.storage.events import recorded
from convoke.storage.table import NotExists, Put, Table, TransactionCanceledError


def logged(alert: Alert) -> list[Put]:
    """The alert, once, and the events that announce it; to be written with what it is about."""
    made = items.expiring(items.item(keys.alert(alert.account_sid, alert.sid), alert), alert.date_expires)
    made |= keys.listed(alert.account_sid, keys.ALERTS, alert.sid, alert.date_created)
    return [Put(made, NotExists("pk")), recorded(alert_logged_change(alert))]


@dataclass(frozen=True, slots=True)
class AlertRepository:
    table: Table

    def create(self, alert: Alert) -> None:
        """With the event that announces it. May be said again: only the first time counts."""
        try:
            self.table.transact(logged(alert))
        except TransactionCanceledError:
            return

    def fetch(self, account_sid: str, alert_sid: str) -> Alert | None:
        stored = self.table.get(keys.alert(account_sid, alert_sid))
        return items.resource(Alert, stored) if stored else None

    def list(self, account_sid: str, filters: AlertFilters, page: PageRequest) -> Page[Alert]:
        """By their dates."""
        listing = lists.Listing(
            account_sid,
            keys.ALERTS,
            keys.list_range(filters.start_date, filters.end_date),
            after=page.position,
            only=("log_level", filters.log_level) if filters.log_level else None,
        )
        return lists.page_of(Alert, self.table, listing, page)
