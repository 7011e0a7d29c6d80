"""Update the Configuration of an account under `/convoke/v1`. Twilio's API does not have this resource.

This module has no method that fetches the Configuration, because authentication has already read the account, which
contains the Configuration.
"""

from __future__ import annotations

from convoke.domain.account_configuration import AccountConfigurationChange
from convoke.domain.accounts import Account
from convoke.domain.receivers import ReceiverRules
from convoke.lean_dataclass import lean_dataclass
from convoke.storage.accounts import CachedAccounts


@lean_dataclass
class AccountConfigurationOperations:
    accounts: CachedAccounts
    rules: ReceiverRules

    def update(self, account: Account, change: AccountConfigurationChange) -> Account:
        """Store the given fields and return the updated account.

        For some seconds, other processes may use a cached copy of the account without these changes. Raises
        InvalidWebhookSettingsError if the error-log URL is not allowed.
        """
        self.rules.refuse({("error_log_url",): change.error_log_url})
        return self.accounts.update(account.sid, change) if change.model_fields_set else account
