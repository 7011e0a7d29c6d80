"""Store Auth Tokens and the master secrets of API keys in Secrets Manager.

Each account has one secret, whose text is the Auth Token. A single secret contains all master secrets of API keys.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import TYPE_CHECKING

from convoke.domain.api_keys import Masters
from convoke.domain.freshness import ReadClocks, read_clocks
from convoke.lean_dataclass import lean_dataclass
from convoke.storage.cached import Cached

if TYPE_CHECKING:
    from mypy_boto3_secretsmanager import SecretsManagerClient

TOKEN_CACHE_SECONDS = 60
"""How long the cache in this module keeps an Auth Token, in seconds.

If another process rotates the Auth Token, this process may use the old Auth Token for this time plus the lifetime of a
second cache. The second cache is `CachedAuthTokens` in storage/auth_tokens.py.
"""


class SecretAuthTokens:
    """Implements `AuthTokens` with Secrets Manager. Auth Tokens are cached, because each fetch costs money and time.

    If `account_exists` returns False, `fetch` does not call Secrets Manager. Without this check, each request with an
    invented Account SID would cause a call, which costs as much as 40 reads of the table. See
    docs/decisions/0079-strangers-cost-little.md.
    """

    def __init__(
        self,
        client: SecretsManagerClient,
        prefix: str,
        account_exists: Callable[[str], bool],
        read_clocks: ReadClocks = read_clocks,
    ) -> None:
        self.client = client
        self._prefix = prefix
        self._account_exists = account_exists
        self.fetch = Cached(self._fetch, TOKEN_CACHE_SECONDS, read_clocks)

    def put(self, account_sid: str, token: str) -> None:
        name = f"{self._prefix}{account_sid}"
        try:
            self.client.put_secret_value(SecretId=name, SecretString=token)
        except self.client.exceptions.ResourceNotFoundException:
            self.client.create_secret(Name=name, SecretString=token)
        self.fetch.forget(account_sid)

    def _fetch(self, account_sid: str) -> str | None:
        if not self._account_exists(account_sid):
            return None
        try:
            return self.client.get_secret_value(SecretId=f"{self._prefix}{account_sid}")["SecretString"]
        except self.client.exceptions.ResourceNotFoundException:
            return None


CURRENT = "current"


@lean_dataclass
class SecretApiKeyMasters:
    """Implements `ApiKeyMasters` with Secrets Manager.

    The text of the secret is a JSON object that maps each version to its master secret. The additional key `current`
    contains the current version. template.yaml creates the secret with the first version.
    """

    client: SecretsManagerClient
    name: str

    def fetch(self) -> Masters | None:
        try:
            content = json.loads(self.client.get_secret_value(SecretId=self.name)["SecretString"])
        except self.client.exceptions.ResourceNotFoundException:
            return None
        return Masters(current=content.pop(CURRENT), secrets=content)

    def put(self, before: Masters | None, after: Masters) -> bool:
        """Store the master secrets `after`, and return True. If `before` is None, create the secret.

        The method does not compare `before` with the stored master secrets, because only the command line changes them.
        """
        content = json.dumps({CURRENT: after.current, **after.secrets})
        if before is None:
            self.client.create_secret(Name=self.name, SecretString=content)
        else:
            self.client.put_secret_value(SecretId=self.name, SecretString=content)
        return True
