"""Update the Configuration of an account.

No operation fetches the Configuration, because authentication has already read the account.
"""

from __future__ import annotations

from convoke.domain.accounts import Account
from convoke.domain.configuration import ConfigurationChange
from convoke.lean_dataclass import lean_dataclass
from convoke.storage.accounts import CachedAccounts


@lean_dataclass
class ConfigurationOperations:
    accounts: CachedAccounts

    def update(self, account: Account, change: ConfigurationChange) -> Account:
        """Store the given fields and return the updated account.

        For some seconds, other processes may use a cached copy of the account without these changes. Raises
        InvalidParameterError if the new default service does not exist.
        """
        return self.accounts.update(account.sid, change) if change.model_fields_set else account
