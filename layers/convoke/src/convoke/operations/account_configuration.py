"""The Configuration of an account under `/convoke/v1`, which Twilio's API does not have: update.

A fetch needs no operation, because every request holds its account.
"""

from __future__ import annotations

from dataclasses import dataclass

from convoke.domain.account_configuration import AccountConfigurationChange
from convoke.domain.accounts import Account
from convoke.domain.receivers import ReceiverRules
from convoke.storage.accounts import CachedAccounts


@dataclass(frozen=True, slots=True)
class AccountConfigurationOperations:
    accounts: CachedAccounts
    rules: ReceiverRules

    def update(self, account: Account, change: AccountConfigurationChange) -> Account:
        """Update the given fields and return the account. Other processes use their cached copy for some seconds.

        Raises InvalidWebhookSettingsError.
        """
        self.rules.refuse({("error_log_url",): change.error_log_url})
        return self.accounts.update(account.sid, change) if change.model_fields_set else account
