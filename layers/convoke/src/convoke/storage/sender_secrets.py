"""Store the secrets of senders. A secret contains the credentials with which Convoke calls a carrier."""

from __future__ import annotations

from typing import Protocol

from convoke.domain.senders import TwilioCredentials
from convoke.lean_dataclass import lean_dataclass
from convoke.storage import keys
from convoke.storage.table import Delete, Put, Table


class SenderSecrets(Protocol):
    """The port for the store of sender secrets.

    On AWS, the store is Secrets Manager. On one machine, the store is the table.
    """

    def fetch(self, account_sid: str, sender_sid: str) -> TwilioCredentials | None: ...

    def put(self, account_sid: str, sender_sid: str, secret: TwilioCredentials) -> None: ...

    def delete(self, account_sid: str, sender_sid: str) -> None:
        """Delete a secret. Does nothing if the secret does not exist."""


@lean_dataclass
class SenderSecretTable:
    """Stores the secrets in the table of the embedded engine.

    `AuthTokenTable` explains why the table is safe enough.
    """

    table: Table

    def fetch(self, account_sid: str, sender_sid: str) -> TwilioCredentials | None:
        stored = self.table.get(keys.sender_secret(account_sid, sender_sid))
        # The item contains the credentials in one attribute, `secret`. The reason is that the credentials have an
        # `account_sid` of their own, the SID of a Twilio account. In all items, the attribute `account_sid` is the SID
        # of a Convoke account.
        return TwilioCredentials.model_validate(stored["secret"]) if stored else None

    def put(self, account_sid: str, sender_sid: str, secret: TwilioCredentials) -> None:
        key = keys.sender_secret(account_sid, sender_sid)
        self.table.transact([Put({"pk": key.pk, "sk": key.sk, "secret": secret.model_dump()})])

    def delete(self, account_sid: str, sender_sid: str) -> None:
        self.table.transact([Delete(keys.sender_secret(account_sid, sender_sid))])
