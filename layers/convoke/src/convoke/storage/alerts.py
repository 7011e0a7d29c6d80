"""Store alerts, which are the entries of the error log. See docs/behaviour/alerts.md."""

from __future__ import annotations

from convoke.domain.alerts import Alert, AlertFilters, alert_logged_change
from convoke.domain.pages import Page, PageRequest
from convoke.lean_dataclass import lean_dataclass
from convoke.storage import items, keys, lists
from convoke.storage.events import change_write
from convoke.storage.table import NotExists, Put, Table, TransactionCanceledError


def alert_writes(alert: Alert) -> list[Put]:
    """Return the writes that store a new alert and its event.

    The caller can add these writes to the transaction that stores the failure. A failure that is reported twice has the
    same alert SID both times. The second time, the condition of the first write fails, because the alert exists.
    """
    item = items.with_expiry(items.to_item(keys.alert(alert.account_sid, alert.sid), alert), alert.date_expires)
    item |= keys.list_attributes(alert.account_sid, keys.ALERTS, alert.sid, alert.date_created)
    return [Put(item, NotExists("pk")), change_write(alert_logged_change(alert))]


@lean_dataclass
class AlertRepository:
    table: Table

    def create(self, alert: Alert) -> None:
        """Store an alert and its event. Does nothing if the alert already exists."""
        try:
            self.table.transact(alert_writes(alert))
        except TransactionCanceledError:
            return

    def fetch(self, account_sid: str, alert_sid: str) -> Alert | None:
        stored = self.table.get(keys.alert(account_sid, alert_sid))
        return items.to_resource(Alert, stored) if stored else None

    def list(self, account_sid: str, filters: AlertFilters, page: PageRequest) -> Page[Alert]:
        """Return a page of an account's alerts, ordered by date."""
        list_query = lists.ListQuery(
            account_sid,
            keys.ALERTS,
            keys.list_range(filters.start_date, filters.end_date),
            after=page.position,
            only=("log_level", filters.log_level) if filters.log_level else None,
        )
        return lists.list_page(Alert, self.table, list_query, page)
