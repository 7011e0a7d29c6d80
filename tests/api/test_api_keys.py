"""API keys authenticate requests. `convoke key` manages API keys. See docs/behaviour/accounts-and-api-keys.md."""

from __future__ import annotations

import json
import logging
import re
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from convoke.domain.api_keys import derive_secret
from convoke.operations.api_keys import ApiKeyOperations, hash_secret
from convoke.storage import keys
from convoke.storage.api_key_masters import ApiKeyMasterTable, KnownMasters
from convoke.storage.table import Delete, Item, Put, Table
from convoke.webhooks.signature import sign
from tests.support import cli_targets
from tests.support.cli_targets import FIRST, UNKNOWN, CliTarget, StackTarget
from tests.support.examples import CHAT_AND_SMS, chat
from tests.support.instances import ORIGIN, Answer, EmbeddedInstance, Instance, call, held_instance, refusal
from tests.support.manual_clock import ManualClock
from tests.support.tables import TABLE_NAME

Credentials = tuple[str, str]

UNKNOWN_KEY = "SK" + "0" * 32


def new_key(instance: Instance, account_sid: str | None = None) -> Credentials:
    key, secret = instance.accounts.api_keys.create(account_sid or instance.account.sid)
    return key.sid, secret


def services(instance: Instance, auth: Credentials, query: str = "") -> Answer:
    return call(instance.api, "GET", f"{ORIGIN}/v1/Services{query}", auth=auth)


# Authentication


@pytest.mark.each_engine
def test_api_key_authenticates_like_auth_token(instance: Instance) -> None:
    v1 = instance.client(key=new_key(instance)).conversations.v1
    created = v1.conversation_with_participants.create(unique_name="visit", participant=CHAT_AND_SMS)
    instance.work()
    assert created.account_sid == instance.account.sid
    assert v1.conversations("visit").fetch().state == "active"
    assert len(v1.conversations("visit").participants.list()) == 2
    assert instance.client().conversations.v1.conversations("visit").fetch().sid == created.sid


@pytest.mark.each_engine
def test_api_key_sid_is_accepted_in_upper_case(instance: Instance) -> None:
    sid, secret = new_key(instance)
    assert services(instance, ("SK" + sid[2:].upper(), secret)).status == 200


@pytest.mark.each_engine
def test_api_key_gives_access_to_its_own_account_only(instance: Instance) -> None:
    v1 = instance.client().conversations.v1
    ours = v1.conversation_with_participants.create(unique_name="visit", participant=chat(1))
    instance.work()
    (member,) = v1.conversations("visit").participants.list()
    other = instance.accounts.create()
    # The SDK client requires an account SID, but does not send the SID: the paths of this API contain no account.
    theirs = instance.client(instance.account.sid, key=new_key(instance, other.sid)).conversations.v1
    for name in (ours.sid, "visit"):
        assert refusal(theirs.conversations(name).fetch).code == 20404
        assert refusal(theirs.conversations(name).participants(member.sid).fetch).code == 20404
    assert refusal(theirs.services(instance.account.default_chat_service_sid).fetch).code == 20404
    assert [service.sid for service in theirs.services.list()] == [other.default_chat_service_sid]
    created = theirs.conversation_with_participants.create(unique_name="visit")
    assert (created.account_sid, created.sid != ours.sid) == (other.sid, True)


def wrong_credentials(instance: Instance) -> dict[str, Credentials]:
    sid, secret = new_key(instance)
    _, other_secret = new_key(instance)
    revoked = new_key(instance)
    instance.accounts.api_keys.delete(revoked[0])
    return {
        "an unknown key": (UNKNOWN_KEY, secret),
        "a revoked key": revoked,
        "another secret": (sid, "wrong"),
        "no secret": (sid, ""),
        "another key's secret": (sid, other_secret),
        "the secret in capitals": (sid, secret.swapcase()),
        "the hash that is stored": (sid, hash_secret(secret)),
        "the account's token": (sid, instance.token),
        "an account with the key's secret": (instance.account.sid, secret),
        "a prefix in small letters": (sid.lower(), secret),
    }


@pytest.mark.each_engine
def test_invalid_api_key_gets_same_401_as_unknown_account(instance: Instance) -> None:
    expected = services(instance, (UNKNOWN, "x"))
    assert (expected.status, expected.body["code"]) == (401, 20003)
    for name, credentials in wrong_credentials(instance).items():
        refused = services(instance, credentials)
        assert (refused.status, refused.text) == (401, expected.text), name
        assert refused.headers["WWW-Authenticate"] == expected.headers["WWW-Authenticate"]


def test_page_token_is_valid_for_every_credential_of_the_account(instance: Instance) -> None:
    instance.client().conversations.v1.services.create(friendly_name="second")
    token, first, second = (instance.account.sid, instance.token), new_key(instance), new_key(instance)
    for made_with, used_with in ((token, first), (first, token), (first, second)):
        page = services(instance, made_with, "?PageSize=1").body
        following = call(instance.api, "GET", page["meta"]["next_page_url"], auth=used_with)
        assert [service["friendly_name"] for service in following.body["services"]] == ["second"]
    stranger = new_key(instance, instance.accounts.create().sid)
    assert call(instance.api, "GET", page["meta"]["next_page_url"], auth=stranger).status == 400


@pytest.mark.each_engine
def test_rotating_auth_token_keeps_api_keys(instance: Instance) -> None:
    key = new_key(instance)
    instance.accounts.rotate_token(instance.account.sid)
    assert services(instance, key).status == 200


@pytest.mark.each_engine
def test_webhooks_of_api_key_requests_are_signed_with_auth_token(instance: Instance) -> None:
    v1 = instance.client(key=new_key(instance)).conversations.v1
    v1.configuration.webhooks().update(post_webhook_url="https://hooks.example/", filters=["onConversationAdded"])
    v1.conversation_with_participants.create(x_twilio_webhook_enabled="true")
    instance.work()
    (posted,) = instance.receivers.posted
    assert instance.receivers.signatures == [sign(posted.url, posted.event.payload, instance.token)]


def test_recently_used_api_key_costs_no_table_read() -> None:
    calls: list[str] = []

    class Counting:
        def __init__(self, table: Table) -> None:
            self._table = table

        def __getattr__(self, verb: str) -> Callable[..., Any]:
            calls.append(verb)
            method: Callable[..., Any] = getattr(self._table, verb)
            return method

    with held_instance(rewire=lambda edges: replace(edges, table=Counting(edges.table))) as instance:
        credentials = new_key(instance)
        for expected in (["get", "get"], []):
            calls.clear()
            assert call(instance.api, "GET", f"{ORIGIN}/v1/Nothing", auth=credentials).status == 404
            assert calls == expected


# Storage


def test_secret_of_an_api_key_is_derived_from_the_master_secret() -> None:
    """The expected secret is a literal, because every version of Convoke must derive the same secret."""
    assert derive_secret("m" * 64, UNKNOWN, UNKNOWN_KEY) == "wtfaPmtnZ2FwQ1FccHdlIAuJlu8h4RBy"
    assert derive_secret("m" * 64, FIRST, "SK" + "1" * 32) != derive_secret("m" * 64, FIRST, UNKNOWN_KEY)
    assert derive_secret("n" * 64, FIRST, UNKNOWN_KEY) != derive_secret("m" * 64, FIRST, UNKNOWN_KEY)


@pytest.mark.each_engine
def test_table_and_log_contain_neither_secret_nor_master(
    instance: Instance, capfd: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    created = instance.call("POST", keys_path(instance), {"FriendlyName": "billing"}).body
    credentials = created["sid"], created["secret"]
    assert services(instance, credentials).status == 200
    assert services(instance, (created["sid"], "wrong")).status == 401
    instance.accounts.api_keys.masters.rotate()
    masters = instance.accounts.api_keys.masters
    hidden = [created["secret"], hash_secret(created["secret"]), *(masters.secret(version) for version in "12")]
    written = capfd.readouterr()
    # Ignore the item in which the embedded engine stores the master secrets.
    kept = str([item for item in instance.items("") if item["pk"] != "api-key-masters"])
    assert [each for each in hidden if not each or each in kept + written.out + written.err + caplog.text] == []
    (owner,) = (item for item in instance.items("owner") if item["pk"] == created["sid"])
    assert owner == {"pk": created["sid"], "sk": "owner", "account_sid": instance.account.sid, "master_version": "1"}


@pytest.mark.each_engine
def test_api_key_with_a_stored_hash_goes_on_working(instance: Instance) -> None:
    sid, _ = new_key(instance)
    owner: Item = {"pk": sid, "sk": "owner", "account_sid": instance.account.sid, "secret_hash": hash_secret("early")}
    instance.table.transact([Put(owner)])
    instance.clear_caches()
    assert services(instance, (sid, "early")).status == 200
    assert services(instance, (sid, "other")).status == 401


@pytest.mark.each_engine
def test_rotation_of_the_master_secret_keeps_existing_keys(instance: Instance) -> None:
    before = new_key(instance)
    assert instance.accounts.api_keys.masters.rotate().version == "2"
    after = new_key(instance)
    assert [services(instance, key).status for key in (before, after)] == [200, 200]
    owners = {item["pk"]: item["master_version"] for item in instance.items("owner")}
    assert owners == {before[0]: "1", after[0]: "2"}


def test_key_whose_master_secret_is_gone_is_refused(embedded: EmbeddedInstance) -> None:
    key = new_key(embedded)
    embedded.table.transact([Delete(keys.api_key_masters())])
    # Simulate a process that has not read the master secret yet.
    other = ApiKeyOperations(
        embedded.accounts.api_keys.api_keys,
        KnownMasters(ApiKeyMasterTable(embedded.table)),
        embedded.accounts.now,
        embedded.accounts.new_sid,
    )
    assert other.authenticate(*key) is None


@pytest.mark.each_engine
def test_revoked_api_key_leaves_no_items(instance: Instance) -> None:
    sid, _ = new_key(instance)
    assert [instance.accounts.api_keys.delete(sid) for _ in range(2)] == [True, False]
    assert not any(sid in str(item) for item in instance.items(""))


def test_every_api_key_is_listed_over_many_pages(embedded: EmbeddedInstance) -> None:
    made = [new_key(embedded)[0] for _ in range(250)]
    assert [key.sid for key in embedded.accounts.api_keys.list(embedded.account.sid)] == made


def test_keys_with_their_expiry_are_listed_for_api_keys_too(embedded: EmbeddedInstance) -> None:
    made = [new_key(embedded)[0] for _ in range(3)]
    first = embedded.call("GET", "/convoke/v1/Keys?PageSize=2").body
    second = embedded.call("GET", first["meta"]["next_page_url"].removeprefix(ORIGIN)).body
    listed = [*first["keys"], *second["keys"]]
    assert [key["sid"] for key in listed] == made
    assert {key["date_expires"] for key in listed} == {None}
    assert embedded.call("GET", second["meta"]["previous_page_url"].removeprefix(ORIGIN)).body["keys"] == first["keys"]


# HTTP


def keys_path(instance: Instance, account_sid: str | None = None) -> str:
    return f"/2010-04-01/Accounts/{account_sid or instance.account.sid}/Keys.json"


def sdk(instance: Instance) -> Any:
    client = instance.client()
    client.api.base_url = ORIGIN
    return client


@pytest.mark.each_engine
def test_api_key_is_created_fetched_updated_and_deleted_with_the_sdk(instance: Instance) -> None:
    client = sdk(instance)
    created = client.new_keys.create(friendly_name="billing")
    assert created.sid.startswith("SK")
    assert re.fullmatch("[0-9A-Za-z]{32}", created.secret)
    assert services(instance, (created.sid, created.secret)).status == 200
    fetched = client.keys(created.sid).fetch()
    assert (fetched.sid, fetched.friendly_name) == (created.sid, "billing")
    assert fetched.date_created == fetched.date_updated == created.date_created
    assert client.keys(created.sid).update().friendly_name == "billing"
    assert client.keys(created.sid).update(friendly_name="invoices").friendly_name == "invoices"
    assert client.keys(created.sid).fetch().friendly_name == "invoices"
    assert services(instance, (created.sid, created.secret)).status == 200
    assert client.keys(created.sid).delete()
    assert refusal(client.keys(created.sid).fetch).code == 20404
    assert refusal(lambda: client.keys(created.sid).update(friendly_name="x")).code == 20404
    assert refusal(client.keys(created.sid).delete).code == 20404
    assert services(instance, (created.sid, created.secret)).status == 401


@pytest.mark.each_engine
def test_api_keys_are_listed_over_pages_with_the_sdk(instance: Instance) -> None:
    client = sdk(instance)
    made = [client.new_keys.create(friendly_name=str(number)).sid for number in range(5)]
    assert [key.sid for key in client.keys.list(page_size=2)] == made
    second = client.keys.page(page_size=2).next_page()
    assert [key.sid for key in second] == made[2:4]
    assert [key.sid for key in second.previous_page()] == made[:2]


def test_bodies_have_the_form_of_the_2010_api(clocked: Instance, clock: ManualClock) -> None:
    clock.present = datetime(2016, 6, 13, 22, 50, 8, 900_000, tzinfo=UTC)
    path = keys_path(clocked)
    created = clocked.call("POST", path)
    item = {
        "sid": created.body["sid"],
        "friendly_name": "",
        "date_created": "Mon, 13 Jun 2016 22:50:08 +0000",
        "date_updated": "Mon, 13 Jun 2016 22:50:08 +0000",
    }
    assert (created.status, created.body) == (201, {**item, "secret": created.body["secret"]})
    assert clocked.call("GET", path).body == {
        "first_page_uri": f"{path}?PageSize=50&Page=0",
        "end": 0,
        "previous_page_uri": None,
        "uri": f"{path}?PageSize=50&Page=0",
        "page_size": 50,
        "start": 0,
        "next_page_uri": None,
        "page": 0,
        "keys": [item],
    }
    clocked.call("POST", path)
    following = clocked.call("GET", clocked.call("GET", f"{path}?PageSize=1").body["next_page_uri"]).body
    assert (following["page"], following["start"], following["end"], len(following["keys"])) == (1, 1, 1, 1)


def test_an_api_key_gives_no_access_to_api_keys(instance: Instance) -> None:
    credentials = new_key(instance)
    every = keys_path(instance)
    one = every.replace(".json", f"/{credentials[0]}.json")
    for method, path in (("GET", every), ("POST", every), ("GET", one), ("POST", one), ("DELETE", one)):
        refused = call(instance.api, method, ORIGIN + path, auth=credentials)
        assert (refused.status, refused.body["code"]) == (403, 20006)
    assert len(instance.items("owner")) == 1


def test_api_keys_of_another_account_are_not_found(instance: Instance) -> None:
    other = instance.accounts.create()
    sid, _ = new_key(instance, other.sid)
    ours = keys_path(instance)
    for method, path in (
        ("GET", keys_path(instance, other.sid)),
        ("POST", keys_path(instance, other.sid)),
        ("GET", ours.replace(".json", f"/{sid}.json")),
        ("POST", ours.replace(".json", f"/{sid}.json")),
        ("DELETE", ours.replace(".json", f"/{sid}.json")),
        ("GET", ours.removesuffix(".json")),
        ("GET", ours.replace(".json", f"/{sid}")),
        ("GET", ours.replace(".json", "/.json")),
    ):
        assert instance.call(method, path, {"FriendlyName": "x"}).body["code"] == 20404, (method, path)
    assert len(instance.items("owner")) == 1


def test_friendly_name_of_an_api_key_has_at_most_64_characters(instance: Instance) -> None:
    refused = instance.call("POST", keys_path(instance), {"FriendlyName": "x" * 65})
    assert (refused.status, refused.body["code"]) == (400, 50003)
    assert refused.body["details"]["parameter"] == "FriendlyName"
    assert instance.items("owner") == []


# The command line


@pytest.fixture
def account(place: CliTarget) -> str:
    """Create an account, and return the SID of the oldest account.

    In a data file, the new account is the only account. In a stack, the oldest account is the account that the
    deployment created.
    """
    place.printed("account", "create")
    oldest: str = place.printed("account", "list")[0]["sid"]
    return oldest


def test_key_create_prints_usable_credentials(place: CliTarget, account: str) -> None:
    (created,) = place.printed("key", "create", account, "--name", "billing")
    dates = {"date_created", "date_updated", "date_expires"}
    assert set(created) == {"sid", "account_sid", "friendly_name", *dates, "secret"}
    assert (created["account_sid"], created["friendly_name"]) == (account, "billing")
    assert re.fullmatch("[0-9A-Za-z]{32}", created["secret"])
    assert place.status(created["sid"], created["secret"]) == 200


def test_key_list_is_oldest_first_without_secret_or_hash(place: CliTarget, account: str) -> None:
    created = [place.printed("key", "create", account, "--name", name)[0] for name in ("first", "second")]
    secrets = [key.pop("secret") for key in created]
    listed = place.printed("key", "list", account)
    assert listed == created
    assert not any(hidden in json.dumps(listed) for secret in secrets for hidden in (secret, hash_secret(secret)))


def test_key_list_shows_keys_of_one_account_only(place: CliTarget, account: str) -> None:
    (other,) = place.printed("account", "create")
    (ours,) = place.printed("key", "create", account)
    (theirs,) = place.printed("key", "create", other["sid"])
    assert [key["sid"] for key in place.printed("key", "list", account)] == [ours["sid"]]
    assert [key["sid"] for key in place.printed("key", "list", other["sid"])] == [theirs["sid"]]


def test_key_commands_default_to_oldest_account(place: CliTarget, account: str) -> None:
    place.printed("account", "create")
    (created,) = place.printed("key", "create")
    assert (created["account_sid"], created["friendly_name"]) == (account, "")
    assert [key["sid"] for key in place.printed("key", "list")] == [created["sid"]]


def test_key_rotate_master_keeps_existing_keys(place: CliTarget, account: str) -> None:
    (before,) = place.printed("key", "create", account)
    assert place.printed("key", "rotate-master") == [{"version": "2"}]
    (after,) = place.printed("key", "create", account)
    assert place.status(before["sid"], before["secret"]) == place.status(after["sid"], after["secret"]) == 200


def test_key_revoke_disables_one_key_only(place: CliTarget, account: str) -> None:
    (kept,), (revoked,) = place.printed("key", "create", account), place.printed("key", "create", account)
    assert place.printed("key", "revoke", revoked["sid"]) == [{"sid": revoked["sid"]}]
    assert place.status(revoked["sid"], revoked["secret"]) == 401
    assert place.status(kept["sid"], kept["secret"]) == 200
    assert [key["sid"] for key in place.printed("key", "list", account)] == [kept["sid"]]
    line = cli_targets.refusal(place.run("key", "revoke", revoked["sid"]))
    assert line == f"Error: there is no API key {revoked['sid']} in {place.name_in_messages}"


@pytest.mark.parametrize("sid", [UNKNOWN_KEY, "SK", "owner", UNKNOWN, ""])
def test_key_revoke_refuses_unknown_sid(place: CliTarget, account: str, sid: str) -> None:
    place.printed("key", "create", account)
    line = cli_targets.refusal(place.run("key", "revoke", sid))
    assert line == f"Error: there is no API key {sid} in {place.name_in_messages}"
    assert len(place.printed("key", "list", account)) == 1


@pytest.mark.parametrize("command", ["create", "list"])
def test_key_commands_refuse_unknown_account(place: CliTarget, account: str, command: str) -> None:
    line = cli_targets.refusal(place.run("key", command, UNKNOWN))
    assert line == f"Error: there is no account {UNKNOWN} in {place.name_in_messages}"


@pytest.mark.parametrize("command", ["create", "list"])
def test_key_commands_refuse_empty_account_sid(place: CliTarget, account: str, command: str) -> None:
    assert cli_targets.refusal(place.run("key", command, "")).startswith("Error: ")


def test_key_name_over_64_characters_is_refused(place: CliTarget, account: str) -> None:
    (created,) = place.printed("key", "create", account, "--name", "\u00e9" * 64)
    assert "64" in cli_targets.refusal(place.run("key", "create", account, "--name", "\u00e9" * 65))
    assert [key["friendly_name"] for key in place.printed("key", "list", account)] == ["\u00e9" * 64]
    assert place.status(created["sid"], created["secret"]) == 200


@pytest.mark.parametrize("command", ["create", "list"])
def test_key_commands_fail_without_an_account(deployed: StackTarget, command: str) -> None:
    deployed.client("secretsmanager").delete_secret(SecretId=deployed.secret, ForceDeleteWithoutRecovery=True)
    assert (
        cli_targets.refusal(deployed.run("key", command))
        == f"Error: there is no account in {deployed.name_in_messages}"
    )
    nowhere = replace(deployed, options=("--data", ":memory:"))
    assert cli_targets.refusal(nowhere.run("key", command)) == "Error: there is no account in :memory:"


COMMANDS = [["create"], ["list"], ["revoke", UNKNOWN_KEY]]


@pytest.mark.parametrize("arguments", COMMANDS)
def test_key_commands_do_not_create_a_data_file(tmp_path: Path, arguments: list[str]) -> None:
    missing = tmp_path / "typo.db"
    with cli_targets.data_file_target(missing) as place:
        assert cli_targets.refusal(place.run("key", *arguments)) == f"Error: there is no data file {missing}"
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("arguments", COMMANDS)
def test_data_and_stack_options_exclude_each_other(deployed: StackTarget, tmp_path: Path, arguments: list[str]) -> None:
    line = cli_targets.refusal(deployed.run("key", *arguments, "--data", str(tmp_path / "convoke.db")))
    assert line == "Error: --data and --stack cannot be used together"


@pytest.mark.parametrize("arguments", COMMANDS)
def test_dynamodb_error_is_reported_in_one_line(deployed: StackTarget, arguments: list[str]) -> None:
    deployed.client("dynamodb").delete_table(TableName=TABLE_NAME)
    assert "ResourceNotFoundException" in cli_targets.refusal(deployed.run("key", *arguments))


def test_key_create_for_first_account_works_before_first_request(
    deployed: StackTarget,
) -> None:
    (created,) = deployed.printed("key", "create")
    assert created["account_sid"] == FIRST
    assert deployed.status(created["sid"], created["secret"]) == 200
