"""Convoke stores the master secrets of API keys in the table or in Secrets Manager.

Most tests run once with each of these stores. moto simulates Secrets Manager.
"""

from __future__ import annotations

import json
from collections.abc import Iterator

import boto3
import pytest
from moto import mock_aws

from convoke.aws.secrets import SecretApiKeyMasters
from convoke.domain.api_keys import Masters
from convoke.storage.api_key_masters import ApiKeyMasters, ApiKeyMasterTable, KnownMasters
from tests.support.tables import memory_table

NAME = "convoke/api-key-master"


def secrets() -> SecretApiKeyMasters:
    client = boto3.client(
        "secretsmanager", region_name="us-east-1", aws_access_key_id="testing", aws_secret_access_key="testing"
    )
    return SecretApiKeyMasters(client, NAME)


@pytest.fixture(params=["table", "secrets"])
def masters(request: pytest.FixtureRequest) -> Iterator[ApiKeyMasters]:
    if request.param == "secrets":
        with mock_aws():
            yield secrets()
        return
    with memory_table() as table:
        yield ApiKeyMasterTable(table)


def test_no_master_secret_exists_at_first(masters: ApiKeyMasters) -> None:
    assert masters.fetch() is None
    assert KnownMasters(masters).secret("1") is None


def test_first_master_secret_is_created_once(masters: ApiKeyMasters) -> None:
    first = KnownMasters(masters).current()
    assert first.version == "1"
    assert len(first.secret) == 64
    assert KnownMasters(masters).current() == first
    assert KnownMasters(masters).secret("1") == first.secret


def test_rotation_adds_a_version_and_keeps_the_others(masters: ApiKeyMasters) -> None:
    one, other = KnownMasters(masters), KnownMasters(masters)
    first = one.current()
    second = other.rotate()
    assert (second.version, other.rotate().version) == ("2", "3")
    assert one.secret("2") == second.secret != first.secret
    assert one.secret("1") == first.secret
    assert one.current().version == "3"
    assert one.secret("4") is None


def test_rotation_without_a_master_secret_creates_the_first(masters: ApiKeyMasters) -> None:
    assert KnownMasters(masters).rotate().version == "1"


def test_known_version_is_not_read_again(masters: ApiKeyMasters) -> None:
    reads: list[None] = []

    class Counting:
        put = masters.put

        def fetch(self) -> Masters | None:
            reads.append(None)
            return masters.fetch()

    known = KnownMasters(Counting())
    first = known.current()
    reads.clear()
    assert known.secret("1") == first.secret
    assert reads == []


def test_version_eleven_follows_version_ten(masters: ApiKeyMasters) -> None:
    assert masters.put(None, Masters(current="10", secrets={"9": "i", "10": "j"}))
    assert KnownMasters(masters).rotate().version == "11"


def test_concurrent_rotation_of_the_table_is_noticed() -> None:
    with memory_table() as table:
        masters = ApiKeyMasterTable(table)
        first = Masters.first()
        assert masters.put(None, first)
        assert not masters.put(None, Masters.first())
        assert masters.put(first, first.rotated())
        assert not masters.put(first, first.rotated())


def test_secret_has_the_form_that_the_template_generates() -> None:
    with mock_aws():
        masters = secrets()
        masters.client.create_secret(Name=NAME, SecretString=json.dumps({"current": "1", "1": "generated"}))
        assert KnownMasters(masters).current() == ("1", "generated")
        KnownMasters(masters).rotate()
        content = json.loads(masters.client.get_secret_value(SecretId=NAME)["SecretString"])
        assert (content["current"], content["1"], set(content)) == ("2", "generated", {"current", "1", "2"})
