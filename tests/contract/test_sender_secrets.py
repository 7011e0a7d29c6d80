"""Convoke stores the senders' secrets in the table or in Secrets Manager.

Most tests run once with each of these stores. moto simulates Secrets Manager.
"""

from __future__ import annotations

from collections.abc import Iterator

import boto3
import pytest
from moto import mock_aws

from convoke.aws.sender_secrets import SECRET_CACHE_SECONDS, SecretSenderSecrets
from convoke.domain.senders import TwilioCredentials
from convoke.storage.sender_secrets import SenderSecrets, SenderSecretTable
from tests.support.clocks import Clocks
from tests.support.tables import memory_table

ACCOUNT, OTHER_ACCOUNT = "AC" + "0" * 32, "AC" + "1" * 32
SENDER = "XE" + "0" * 32
FIRST, SECOND = (TwilioCredentials(account_sid="AC" + digit * 32, auth_token=digit) for digit in "23")


def secrets(clocks: Clocks | None = None) -> SecretSenderSecrets:
    """Return a store in Secrets Manager with an empty cache, as in a new process."""
    client = boto3.client(
        "secretsmanager", region_name="us-east-1", aws_access_key_id="testing", aws_secret_access_key="testing"
    )
    return SecretSenderSecrets(client, "convoke/senders/", (clocks or Clocks()).read)


@pytest.fixture(params=["table", "secrets"])
def store(request: pytest.FixtureRequest) -> Iterator[SenderSecrets]:
    if request.param == "secrets":
        with mock_aws():
            yield secrets()
        return
    with memory_table() as table:
        yield SenderSecretTable(table)


def test_secret_is_stored_replaced_and_deleted(store: SenderSecrets) -> None:
    assert store.fetch(ACCOUNT, SENDER) is None
    store.delete(ACCOUNT, SENDER)
    for secret in (FIRST, SECOND):
        store.put(ACCOUNT, SENDER, secret)
        assert store.fetch(ACCOUNT, SENDER) == secret
    assert store.fetch(OTHER_ACCOUNT, SENDER) is None
    store.delete(ACCOUNT, SENDER)
    assert store.fetch(ACCOUNT, SENDER) is None


def test_deleted_secret_can_be_stored_again(store: SenderSecrets) -> None:
    store.put(ACCOUNT, SENDER, FIRST)
    store.delete(ACCOUNT, SENDER)
    store.put(ACCOUNT, SENDER, SECOND)
    assert store.fetch(ACCOUNT, SENDER) == SECOND


def test_secret_that_another_process_replaced_is_not_used_beyond_the_lifetime_of_the_cache() -> None:
    clocks = Clocks()
    with mock_aws():
        secrets().put(ACCOUNT, SENDER, FIRST)
        cached = secrets(clocks)
        assert cached.fetch(ACCOUNT, SENDER) == FIRST
        secrets().put(ACCOUNT, SENDER, SECOND)
        clocks.run(SECRET_CACHE_SECONDS - 1)
        assert cached.fetch(ACCOUNT, SENDER) == FIRST
        clocks.run(1)
        assert cached.fetch(ACCOUNT, SENDER) == SECOND
