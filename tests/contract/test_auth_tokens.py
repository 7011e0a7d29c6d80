"""Convoke stores Auth Tokens in the table (storage/auth_tokens.py) or in Secrets Manager (aws/secrets.py).

moto simulates Secrets Manager.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

import boto3
import pytest
from moto import mock_aws

from convoke.aws.secrets import TOKEN_CACHE_SECONDS, SecretAuthTokens
from convoke.storage.auth_tokens import AuthTokens, AuthTokenTable, CachedAuthTokens
from tests.support.clocks import Clocks
from tests.support.tables import memory_table

ACCOUNT, OTHER_ACCOUNT = "AC" + "0" * 32, "AC" + "1" * 32


def secrets(clocks: Clocks | None = None) -> SecretAuthTokens:
    """Return an Auth Token store with an empty cache, as in a new process."""
    client = boto3.client(
        "secretsmanager", region_name="us-east-1", aws_access_key_id="testing", aws_secret_access_key="testing"
    )
    return SecretAuthTokens(client, "convoke/auth-token/", lambda _: True, (clocks or Clocks()).read)


@pytest.fixture(params=["table", "cached table", "secrets"])
def auth_tokens(request: pytest.FixtureRequest) -> Iterator[AuthTokens]:
    if request.param == "secrets":
        with mock_aws():
            yield secrets()
        return
    with memory_table() as table:
        stored = AuthTokenTable(table)
        yield stored if request.param == "table" else CachedAuthTokens(stored)


def test_unknown_account_has_no_token(auth_tokens: AuthTokens) -> None:
    assert auth_tokens.fetch(ACCOUNT) is None


def test_stored_token_is_fetched(auth_tokens: AuthTokens) -> None:
    assert auth_tokens.fetch(ACCOUNT) is None
    auth_tokens.put(ACCOUNT, "first")
    auth_tokens.put(OTHER_ACCOUNT, "second")
    assert (auth_tokens.fetch(ACCOUNT), auth_tokens.fetch(OTHER_ACCOUNT)) == ("first", "second")


def test_rotated_token_is_effective_at_once_in_the_same_process(auth_tokens: AuthTokens) -> None:
    auth_tokens.put(ACCOUNT, "old")
    assert auth_tokens.fetch(ACCOUNT) == "old"
    auth_tokens.put(ACCOUNT, "new")
    assert auth_tokens.fetch(ACCOUNT) == "new"


def test_secret_is_shared_between_processes() -> None:
    with mock_aws():
        secrets().put(ACCOUNT, "token")
        assert secrets().fetch(ACCOUNT) == "token"


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        pytest.param(lambda clocks: clocks.run(TOKEN_CACHE_SECONDS - 1), "old", id="short pause"),
        pytest.param(lambda clocks: clocks.freeze(TOKEN_CACHE_SECONDS), "new", id="frozen environment"),
        pytest.param(lambda clocks: clocks.step_back(1), "new", id="wall clock set back"),
    ],
)
def test_token_that_another_process_rotated_is_not_used_beyond_the_lifetime_of_the_cache(
    change: Callable[[Clocks], object], expected: str
) -> None:
    clocks = Clocks()
    with mock_aws():
        secrets().put(ACCOUNT, "old")
        cached = secrets(clocks)
        assert cached.fetch(ACCOUNT) == "old"
        secrets().put(ACCOUNT, "new")
        change(clocks)
        assert cached.fetch(ACCOUNT) == expected
