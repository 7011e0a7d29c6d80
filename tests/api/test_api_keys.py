"""API keys (reference, g.1): what they open, and `convoke key` on a data file and on a deployment."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from convoke.operations.api_keys import hash_of
from convoke.storage.table import Table
from convoke.webhooks.signature import sign
from tests.support import cli_targets
from tests.support.cli_targets import FIRST, UNKNOWN, CliTarget, StackTarget
from tests.support.examples import CHAT_AND_SMS, chat
from tests.support.instances import ORIGIN, Answer, EmbeddedInstance, Instance, call, held_instance, refusal
from tests.support.tables import TABLE_NAME

Credentials = tuple[str, str]

UNKNOWN_KEY = "SK" + "0" * 32


def new_key(instance: Instance, account_sid: str | None = None) -> Credentials:
    key, secret = instance.accounts.api_keys.create(account_sid or instance.account.sid)
    return key.sid, secret


def services(instance: Instance, auth: Credentials, query: str = "") -> Answer:
    return call(instance.api, "GET", f"{ORIGIN}/v1/Services{query}", auth=auth)


# What a key opens


def test_a_key_opens_its_account_as_the_auth_token_does(instance: Instance) -> None:
    v1 = instance.client(key=new_key(instance)).conversations.v1
    created = v1.conversation_with_participants.create(unique_name="visit", participant=CHAT_AND_SMS)
    instance.work()
    assert created.account_sid == instance.account.sid
    assert v1.conversations("visit").fetch().state == "active"
    assert len(v1.conversations("visit").participants.list()) == 2
    assert instance.client().conversations.v1.conversations("visit").fetch().sid == created.sid


def test_the_sid_of_a_key_may_be_spelled_in_capitals(instance: Instance) -> None:
    sid, secret = new_key(instance)
    assert services(instance, ("SK" + sid[2:].upper(), secret)).status == 200


def test_the_key_of_another_account_opens_that_one_only(instance: Instance) -> None:
    v1 = instance.client().conversations.v1
    ours = v1.conversation_with_participants.create(unique_name="visit", participant=chat(1))
    instance.work()
    (member,) = v1.conversations("visit").participants.list()
    other = instance.accounts.create()
    # The account that an SDK is told besides goes into no path of this API.
    theirs = instance.client(instance.account.sid, key=new_key(instance, other.sid)).conversations.v1
    for name in (ours.sid, "visit"):
        assert refusal(theirs.conversations(name).fetch).code == 20404
        assert refusal(theirs.conversations(name).participants(member.sid).fetch).code == 20404
    assert refusal(theirs.services(instance.account.default_chat_service_sid).fetch).code == 20404
    assert [service.sid for service in theirs.services.list()] == [other.default_chat_service_sid]
    created = theirs.conversation_with_participants.create(unique_name="visit")
    assert (created.account_sid, created.sid != ours.sid) == (other.sid, True)


def wrong(instance: Instance) -> dict[str, Credentials]:
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
        "the hash that is stored": (sid, hash_of(secret)),
        "the account's token": (sid, instance.token),
        "an account with the key's secret": (instance.account.sid, secret),
        "a prefix in small letters": (sid.lower(), secret),
    }


def test_whatever_is_wrong_with_a_key_is_refused_like_an_unknown_account(instance: Instance) -> None:
    expected = services(instance, (UNKNOWN, "x"))
    assert (expected.status, expected.body["code"]) == (401, 20003)
    for name, credentials in wrong(instance).items():
        refused = services(instance, credentials)
        assert (refused.status, refused.text) == (401, expected.text), name
        assert refused.headers["WWW-Authenticate"] == expected.headers["WWW-Authenticate"]


def test_page_tokens_of_one_credential_work_with_another_of_the_account(instance: Instance) -> None:
    instance.client().conversations.v1.services.create(friendly_name="second")
    token, first, second = (instance.account.sid, instance.token), new_key(instance), new_key(instance)
    for made_with, used_with in ((token, first), (first, token), (first, second)):
        page = services(instance, made_with, "?PageSize=1").body
        following = call(instance.api, "GET", page["meta"]["next_page_url"], auth=used_with)
        assert [service["friendly_name"] for service in following.body["services"]] == ["second"]
    stranger = new_key(instance, instance.accounts.create().sid)
    assert call(instance.api, "GET", page["meta"]["next_page_url"], auth=stranger).status == 400


def test_a_new_auth_token_leaves_keys_as_they_are(instance: Instance) -> None:
    key = new_key(instance)
    instance.accounts.rotate_token(instance.account.sid)
    assert services(instance, key).status == 200


def test_webhooks_of_a_request_with_a_key_are_signed_with_the_auth_token(instance: Instance) -> None:
    v1 = instance.client(key=new_key(instance)).conversations.v1
    v1.configuration.webhooks().update(post_webhook_url="https://hooks.example/", filters=["onConversationAdded"])
    v1.conversation_with_participants.create(x_twilio_webhook_enabled="true")
    instance.work()
    (posted,) = instance.receivers.posted
    assert instance.receivers.signatures == [sign(posted.url, posted.event.payload, instance.token)]


def test_a_key_that_was_just_used_costs_no_read() -> None:
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


# What is kept


def test_nothing_in_the_table_holds_a_secret_and_one_item_its_hash(instance: Instance) -> None:
    sid, secret = new_key(instance)
    assert services(instance, (sid, secret)).status == 200
    kept = [str(item) for item in instance.items("")]
    assert len([item for item in kept if sid in item]) == 2
    assert not any(secret in item for item in kept)
    (holding,) = (item for item in instance.items("") if hash_of(secret) in str(item))
    assert (holding["pk"], holding["sk"]) == (sid, "owner")


def test_nothing_is_left_of_a_key_that_was_revoked(instance: Instance) -> None:
    sid, _ = new_key(instance)
    assert [instance.accounts.api_keys.delete(sid) for _ in range(2)] == [True, False]
    assert not any(sid in str(item) for item in instance.items(""))


def test_every_key_is_listed_however_many_there_are(embedded: EmbeddedInstance) -> None:
    made = [new_key(embedded)[0] for _ in range(250)]
    assert [key.sid for key in embedded.accounts.api_keys.list(embedded.account.sid)] == made


# The command line


@pytest.fixture
def account(place: CliTarget) -> str:
    """The oldest one."""
    place.printed("account", "create")
    oldest: str = place.printed("account", "list")[0]["sid"]
    return oldest


def test_a_key_that_is_made_can_be_used_at_once(place: CliTarget, account: str) -> None:
    (created,) = place.printed("key", "create", account, "--name", "billing")
    assert set(created) == {"sid", "account_sid", "friendly_name", "date_created", "secret"}
    assert (created["account_sid"], created["friendly_name"]) == (account, "billing")
    assert re.fullmatch("[0-9A-Za-z]{32}", created["secret"])
    assert place.status(created["sid"], created["secret"]) == 200


def test_keys_are_listed_oldest_first_without_secret_or_hash(place: CliTarget, account: str) -> None:
    created = [place.printed("key", "create", account, "--name", name)[0] for name in ("first", "second")]
    secrets = [key.pop("secret") for key in created]
    listed = place.printed("key", "list", account)
    assert listed == created
    assert not any(hidden in json.dumps(listed) for secret in secrets for hidden in (secret, hash_of(secret)))


def test_an_account_s_keys_are_listed_and_no_other_s(place: CliTarget, account: str) -> None:
    (other,) = place.printed("account", "create")
    (ours,) = place.printed("key", "create", account)
    (theirs,) = place.printed("key", "create", other["sid"])
    assert [key["sid"] for key in place.printed("key", "list", account)] == [ours["sid"]]
    assert [key["sid"] for key in place.printed("key", "list", other["sid"])] == [theirs["sid"]]


def test_where_no_account_is_named_it_is_the_oldest(place: CliTarget, account: str) -> None:
    place.printed("account", "create")
    (created,) = place.printed("key", "create")
    assert (created["account_sid"], created["friendly_name"]) == (account, "")
    assert [key["sid"] for key in place.printed("key", "list")] == [created["sid"]]


def test_a_key_that_is_revoked_works_no_more_and_others_do(place: CliTarget, account: str) -> None:
    (kept,), (revoked,) = place.printed("key", "create", account), place.printed("key", "create", account)
    assert place.printed("key", "revoke", revoked["sid"]) == [{"sid": revoked["sid"]}]
    assert place.status(revoked["sid"], revoked["secret"]) == 401
    assert place.status(kept["sid"], kept["secret"]) == 200
    assert [key["sid"] for key in place.printed("key", "list", account)] == [kept["sid"]]
    line = cli_targets.refusal(place.run("key", "revoke", revoked["sid"]))
    assert line == f"Error: there is no API key {revoked['sid']} in {place.name_in_messages}"


@pytest.mark.parametrize("sid", [UNKNOWN_KEY, "SK", "owner", UNKNOWN, ""])
def test_what_is_no_key_cannot_be_revoked(place: CliTarget, account: str, sid: str) -> None:
    place.printed("key", "create", account)
    line = cli_targets.refusal(place.run("key", "revoke", sid))
    assert line == f"Error: there is no API key {sid} in {place.name_in_messages}"
    assert len(place.printed("key", "list", account)) == 1


@pytest.mark.parametrize("command", ["create", "list"])
def test_an_account_that_nobody_knows_has_no_keys(place: CliTarget, account: str, command: str) -> None:
    line = cli_targets.refusal(place.run("key", command, UNKNOWN))
    assert line == f"Error: there is no account {UNKNOWN} in {place.name_in_messages}"


@pytest.mark.parametrize("command", ["create", "list"])
def test_an_empty_account_sid_does_not_stand_for_the_oldest(place: CliTarget, account: str, command: str) -> None:
    assert cli_targets.refusal(place.run("key", command, "")).startswith("Error: ")


def test_a_name_is_64_characters_at_the_most(place: CliTarget, account: str) -> None:
    (created,) = place.printed("key", "create", account, "--name", "\u00e9" * 64)
    assert "64" in cli_targets.refusal(place.run("key", "create", account, "--name", "\u00e9" * 65))
    assert [key["friendly_name"] for key in place.printed("key", "list", account)] == ["\u00e9" * 64]
    assert place.status(created["sid"], created["secret"]) == 200


@pytest.mark.parametrize("command", ["create", "list"])
def test_where_there_is_no_account_there_is_no_key(deployed: StackTarget, command: str) -> None:
    deployed.client("secretsmanager").delete_secret(SecretId=deployed.secret, ForceDeleteWithoutRecovery=True)
    assert (
        cli_targets.refusal(deployed.run("key", command))
        == f"Error: there is no account in {deployed.name_in_messages}"
    )
    nowhere = replace(deployed, options=("--data", ":memory:"))
    assert cli_targets.refusal(nowhere.run("key", command)) == "Error: there is no account in :memory:"


COMMANDS = [["create"], ["list"], ["revoke", UNKNOWN_KEY]]


@pytest.mark.parametrize("arguments", COMMANDS)
def test_no_command_about_keys_makes_a_data_file(tmp_path: Path, arguments: list[str]) -> None:
    missing = tmp_path / "typo.db"
    with cli_targets.data_file_target(missing) as place:
        assert cli_targets.refusal(place.run("key", *arguments)) == f"Error: there is no data file {missing}"
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("arguments", COMMANDS)
def test_a_data_file_and_a_stack_exclude_each_other(
    deployed: StackTarget, tmp_path: Path, arguments: list[str]
) -> None:
    line = cli_targets.refusal(deployed.run("key", *arguments, "--data", str(tmp_path / "convoke.db")))
    assert line == "Error: --data and --stack exclude each other"


@pytest.mark.parametrize("arguments", COMMANDS)
def test_a_refusal_by_aws_is_one_clear_line(deployed: StackTarget, arguments: list[str]) -> None:
    deployed.client("dynamodb").delete_table(TableName=TABLE_NAME)
    assert "ResourceNotFoundException" in cli_targets.refusal(deployed.run("key", *arguments))


def test_the_account_that_a_deployment_starts_with_can_have_a_key_before_its_first_request(
    deployed: StackTarget,
) -> None:
    (created,) = deployed.printed("key", "create")
    assert created["account_sid"] == FIRST
    assert deployed.status(created["sid"], created["secret"]) == 200
