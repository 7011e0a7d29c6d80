"""Clients create, fetch, list, update and delete push credentials. See docs/behaviour/credentials.md."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import Any

import pytest

from convoke.storage.credentials import CredentialRepository
from tests.support.instances import ORIGIN, Instance, refusal
from tests.support.manual_clock import ManualClock

CERTIFICATE = "-----BEGIN CERTIFICATE-----\nTm9ib2R5IHN0b3JlcyB0aGlz\n-----END CERTIFICATE-----\n"
PRIVATE_KEY = "-----BEGIN RSA PRIVATE KEY-----\nTm9ib2R5IHN0b3JlcyB0aGlz\n-----END RSA PRIVATE KEY-----\n"
APN = {"type": "apn", "certificate": CERTIFICATE, "private_key": PRIVATE_KEY}
SERVICE_ACCOUNT = json.dumps({"type": "service_account", "private_key": PRIVATE_KEY}, indent=2)


def credentials(instance: Instance) -> Any:
    return instance.client().conversations.v1.credentials


def test_credential_is_created_and_fetched_without_its_secrets(instance: Instance) -> None:
    created = credentials(instance).create(**APN, friendly_name="iPhones", sandbox=True)
    url = f"{ORIGIN}/v1/Credentials/{created.sid}"
    fetched = instance.call("GET", f"/v1/Credentials/{created.sid}").body
    assert fetched == {
        "sid": created.sid,
        "account_sid": instance.account.sid,
        "friendly_name": "iPhones",
        "type": "apn",
        "sandbox": "True",
        "date_created": fetched["date_created"],
        "date_updated": fetched["date_created"],
        "url": url,
    }
    assert created.sid.startswith("CR")


@pytest.mark.each_engine
def test_no_item_contains_a_secret(instance: Instance) -> None:
    sid = credentials(instance).create(**APN).sid
    credentials(instance).create(type="gcm", api_key="key-of-the-gcm-project")
    credentials(instance).create(type="fcm", secret=SERVICE_ACCOUNT)
    credentials(instance)(sid).update(certificate=CERTIFICATE, private_key=PRIVATE_KEY)
    stored = json.dumps(instance.items(""))
    assert stored.count("credential#") == 3
    assert not [secret for secret in ("Tm9ib2R5", "key-of-the-gcm", "service_account") if secret in stored]


@pytest.mark.parametrize(
    ("given", "shown"),
    [
        ({"type": "GcM", "api_key": "AIzaSy-0123"}, "gcm"),
        ({"type": "FCM", "secret": "AAAA:server-key"}, "fcm"),
        ({"type": "fcm", "secret": SERVICE_ACCOUNT}, "fcm"),
        ({"type": "apn", "certificate": f"Bag Attributes\n{CERTIFICATE}", "private_key": PRIVATE_KEY}, "apn"),
        (APN | {"private_key": PRIVATE_KEY.replace("RSA ", "EC ")}, "apn"),
        (APN | {"private_key": PRIVATE_KEY.replace("RSA ", "").replace("\n", "\r\n")}, "apn"),
    ],
)
def test_type_is_shown_in_lower_case(instance: Instance, given: dict[str, str], shown: str) -> None:
    created = credentials(instance).create(**given)
    assert (created.type, created.sandbox, created.friendly_name) == (shown, "False", None)


@pytest.mark.parametrize(
    ("given", "parameter", "rule"),
    [
        ({}, "Type", "Type must be apn, gcm or fcm"),
        ({"Type": "web"}, "Type", "Type must be apn, gcm or fcm"),
        ({"Type": "gcm"}, "ApiKey", "ApiKey must be given for the type gcm"),
        ({"Type": "fcm", "ApiKey": "key"}, "Secret", "Secret must be given for the type fcm"),
        ({"Type": "apn"}, "Certificate", "Certificate must be given for the type apn"),
        ({"Type": "apn", "Certificate": CERTIFICATE}, "PrivateKey", "PrivateKey must be given for the type apn"),
        ({"Type": "gcm", "ApiKey": ""}, "ApiKey", "ApiKey must be printable ASCII characters without spaces"),
        ({"Type": "fcm", "Secret": "{"}, "Secret", "Secret must be a server key, or the JSON of a service account"),
        ({"Type": "apn", "Certificate": PRIVATE_KEY}, "Certificate", "Certificate must be a certificate in PEM form"),
        (
            {"Type": "apn", "PrivateKey": PRIVATE_KEY.replace("RSA", "ENCRYPTED")},
            "PrivateKey",
            "PrivateKey must be an unencrypted private key in PEM form",
        ),
        (
            {"Type": "apn", "Certificate": CERTIFICATE.replace("Tm9ib2R5", "Tm9ib2R")},
            "Certificate",
            "Certificate must be a certificate in PEM form",
        ),
        ({"Type": "fcm", "Secret": "s", "Sandbox": "maybe"}, "Sandbox", "Sandbox must be true or false"),
    ],
)
def test_invalid_credential_is_refused_and_not_stored(
    instance: Instance, given: dict[str, str], parameter: str, rule: str
) -> None:
    refused = instance.call("POST", "/v1/Credentials", given)
    assert (refused.status, refused.body["code"], refused.body["details"]["parameter"]) == (400, 20001, parameter)
    assert refused.body["message"] == rule
    assert instance.items("credential#") == []


def test_friendly_name_is_limited_to_64_characters(instance: Instance) -> None:
    created = credentials(instance).create(**APN, friendly_name="é" * 64)
    error = refusal(lambda: credentials(instance)(created.sid).update(friendly_name="e" * 65))
    assert (error.code, error.details["parameter"]) == (50003, "FriendlyName")
    assert refusal(lambda: credentials(instance).create(**APN, friendly_name="e" * 65)).code == 50003


@pytest.mark.each_engine
def test_update_changes_given_fields(clocked: Instance, clock: ManualClock) -> None:
    created = credentials(clocked).create(**APN, friendly_name="iPhones", sandbox=True)
    clock.move(timedelta(seconds=5))
    unchanged = credentials(clocked)(created.sid).update()
    assert unchanged.date_updated == created.date_updated
    updated = credentials(clocked)(created.sid).update(friendly_name="iPads", type="APN")
    assert (updated.friendly_name, updated.sandbox, updated.type) == ("iPads", "True", "apn")
    assert updated.date_updated == created.date_created + timedelta(seconds=5)
    assert credentials(clocked)(created.sid).update(sandbox=False).sandbox == "False"
    assert credentials(clocked)(created.sid).fetch().friendly_name == "iPads"


def test_credential_keeps_its_type(instance: Instance) -> None:
    sid = credentials(instance).create(type="gcm", api_key="key").sid
    error = refusal(lambda: credentials(instance)(sid).update(type="fcm", secret="key"))
    assert (error.code, error.details["parameter"]) == (20001, "Type")


def test_sandbox_belongs_to_apn_only(instance: Instance) -> None:
    created = credentials(instance).create(type="gcm", api_key="key", sandbox=True)
    assert (created.sandbox, credentials(instance)(created.sid).update(sandbox=True).sandbox) == ("False", "False")


@pytest.mark.each_engine
def test_credentials_are_listed_oldest_first_over_pages(instance: Instance) -> None:
    made = [credentials(instance).create(type="gcm", api_key="key").sid for _ in range(5)]
    assert [each.sid for each in credentials(instance).list(page_size=2)] == made
    assert instance.call("GET", "/v1/Credentials?PageSize=1000").body["meta"]["page_size"] == 100


@pytest.mark.each_engine
def test_deleted_credential_is_gone(instance: Instance) -> None:
    sid = credentials(instance).create(**APN).sid
    assert credentials(instance)(sid).delete() is True
    assert credentials(instance).list() == []
    for call in (credentials(instance)(sid).fetch, credentials(instance)(sid).delete):
        assert (refusal(call).status, refusal(call).code) == (404, 20404)
    assert refusal(lambda: credentials(instance)(sid).update(friendly_name="late")).code == 20404


@pytest.mark.each_engine
def test_update_does_not_bring_a_deleted_credential_back(instance: Instance) -> None:
    sid = credentials(instance).create(**APN).sid
    repository = CredentialRepository(instance.table)
    read = repository.fetch(instance.account.sid, sid)
    assert read is not None
    credentials(instance)(sid).delete()
    assert repository.update(read, {"friendly_name": "late"}, read.date_created) is None
    assert instance.items("credential#") == []


def test_credential_of_another_account_is_not_found(instance: Instance) -> None:
    sid = credentials(instance).create(**APN).sid
    other = instance.accounts.create()
    theirs = instance.client(other.sid, instance.accounts.token(other.sid)).conversations.v1.credentials
    assert theirs.list() == []
    for call in (theirs(sid).fetch, theirs(sid).delete, lambda: theirs(sid).update(friendly_name="mine")):
        assert refusal(call).code == 20404
    assert credentials(instance)(sid).fetch().friendly_name is None
