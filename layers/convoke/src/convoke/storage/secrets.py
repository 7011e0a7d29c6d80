"""Auth Tokens in Secrets Manager: one secret an account, the token as its text."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from aws_lambda_powertools.utilities.parameters import SecretsProvider
from aws_lambda_powertools.utilities.parameters.exceptions import GetParameterError

if TYPE_CHECKING:
    from mypy_boto3_secretsmanager import SecretsManagerClient

LIFETIME = 60
"""Seconds that a token is remembered: a rotated one is taken up within them."""


@dataclass(frozen=True, slots=True)
class SecretAuthTokens:
    client: SecretsManagerClient
    provider: SecretsProvider
    prefix: str

    def fetch(self, account_sid: str) -> str | None:
        try:
            return str(self.provider.get(f"{self.prefix}{account_sid}", max_age=LIFETIME))
        except GetParameterError as error:
            if isinstance(error.__context__, self.client.exceptions.ResourceNotFoundException):
                return None
            raise

    def put(self, account_sid: str, token: str) -> None:
        name = f"{self.prefix}{account_sid}"
        try:
            self.client.put_secret_value(SecretId=name, SecretString=token)
        except self.client.exceptions.ResourceNotFoundException:
            self.client.create_secret(Name=name, SecretString=token)
        self.provider.clear_cache()  # type: ignore[no-untyped-call]
