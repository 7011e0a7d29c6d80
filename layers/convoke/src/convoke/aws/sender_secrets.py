"""Store the secrets of senders in Secrets Manager. The secret of each sender is a JSON object."""

from __future__ import annotations

from typing import TYPE_CHECKING

from convoke.domain.freshness import ReadClocks, read_clocks
from convoke.domain.senders import TwilioCredentials
from convoke.storage.cached import Cached

if TYPE_CHECKING:
    from mypy_boto3_secretsmanager import SecretsManagerClient

SECRET_CACHE_SECONDS = 60
"""How long a process caches the secret of a sender, in seconds.

If a second process replaces the secret, the first process may use the old secret for this time.
"""


class SecretSenderSecrets:
    """Implements `SenderSecrets` with Secrets Manager. Secrets are cached, because each fetch costs money and time."""

    def __init__(self, client: SecretsManagerClient, prefix: str, read_clocks: ReadClocks = read_clocks) -> None:
        self.client = client
        self._prefix = prefix
        self._cached = Cached(self._fetch, SECRET_CACHE_SECONDS, read_clocks)

    def fetch(self, account_sid: str, sender_sid: str) -> TwilioCredentials | None:
        return self._cached(account_sid, sender_sid)

    def put(self, account_sid: str, sender_sid: str, secret: TwilioCredentials) -> None:
        name, text = self._name(account_sid, sender_sid), secret.model_dump_json()
        try:
            self.client.put_secret_value(SecretId=name, SecretString=text)
        except self.client.exceptions.ResourceNotFoundException:
            self.client.create_secret(Name=name, SecretString=text)
        self._cached.forget(account_sid, sender_sid)

    def delete(self, account_sid: str, sender_sid: str) -> None:
        try:
            # Without `ForceDeleteWithoutRecovery`, Secrets Manager would keep the secret for at least seven days.
            name = self._name(account_sid, sender_sid)
            self.client.delete_secret(SecretId=name, ForceDeleteWithoutRecovery=True)
        except self.client.exceptions.ResourceNotFoundException:
            pass
        self._cached.forget(account_sid, sender_sid)

    def _fetch(self, account_sid: str, sender_sid: str) -> TwilioCredentials | None:
        try:
            text = self.client.get_secret_value(SecretId=self._name(account_sid, sender_sid))["SecretString"]
        except self.client.exceptions.ResourceNotFoundException:
            return None
        return TwilioCredentials.model_validate_json(text)

    def _name(self, account_sid: str, sender_sid: str) -> str:
        return f"{self._prefix}{account_sid}/{sender_sid}"
