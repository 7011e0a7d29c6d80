"""Store Auth Tokens and the master secrets of API keys in Secrets Manager.

Each account has one secret, whose text is the Auth Token. One more secret contains all master secrets.
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
"""How long a process caches an Auth Token, in seconds.

After another process rotates the Auth Token, this process may still use the old Auth Token for at most this time.
"""


class SecretAuthTokens:
    """Implements `AuthTokens` with Secrets Manager. Auth Tokens are cached, because each fetch costs money and time.

    The class fetches no secret for an account for which `account_exists` returns False. A stranger could otherwise
    invent Account SIDs, and each request would cause a call to Secrets Manager. A call to Secrets Manager costs as much
    as 40 reads of the table. See docs/decisions/0079-strangers-cost-little.md.
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
        """Replace the master secrets.

        The method does not compare `before` with the stored secrets, because only the command line changes the master
        secrets. Therefore the result is always True.
        """
        content = json.dumps({CURRENT: after.current, **after.secrets})
        if before is None:
            self.client.create_secret(Name=self.name, SecretString=content)
        else:
            self.client.put_secret_value(SecretId=self.name, SecretString=content)
        return True
