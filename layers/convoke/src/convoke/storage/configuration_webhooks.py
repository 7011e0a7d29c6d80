"""Store the webhook configuration of an account. The first update creates the item."""

from __future__ import annotations

from convoke.domain.configuration_webhooks import ConfigurationWebhooks, ConfigurationWebhooksChange
from convoke.lean_dataclass import lean_dataclass
from convoke.storage import items, keys
from convoke.storage.table import Item, Set, Table, Update


@lean_dataclass
class ConfigurationWebhooksRepository:
    table: Table

    def fetch(self, account_sid: str) -> ConfigurationWebhooks:
        stored = self.table.get(keys.configuration_webhooks(account_sid))
        return to_configuration_webhooks(account_sid, stored)

    def update(self, account_sid: str, change: ConfigurationWebhooksChange) -> ConfigurationWebhooks:
        """Store the fields that `change` sets, and return the new configuration."""
        # The item must contain the account SID. The first update creates the item, so every update sets the account
        # SID.
        actions = (*items.update_actions(change), Set("account_sid", account_sid))
        updated = self.table.update(Update(keys.configuration_webhooks(account_sid), actions))
        return items.to_resource(ConfigurationWebhooks, updated)


def to_configuration_webhooks(account_sid: str, stored: Item | None) -> ConfigurationWebhooks:
    """Convert an item to a configuration. If there is no item, return the default configuration."""
    return items.to_resource(ConfigurationWebhooks, stored or {"account_sid": account_sid})
