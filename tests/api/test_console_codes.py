"""The console's link contains a one-time code, which the console exchanges for an API key.

See docs/behaviour/accounts-and-api-keys.md#console-codes.
"""

from __future__ import annotations

import hashlib
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from click.testing import CliRunner

from convoke.cli.main import main
from convoke.domain.console_codes import CODE_LIFETIME, CONSOLE_KEY_LIFETIME, NewConsoleKey
from convoke.embedded.clock import MovableClock
from convoke.operations.api_keys import ApiKeyOperations
from convoke.operations.console_codes import ConsoleCodeOperations
from convoke.storage.console_codes import ConsoleCodeRepository
from tests.support.aws import moto_instance
from tests.support.instances import ORIGIN, Answer, EmbeddedInstance, call, held_instance

PATH = "/convoke/v1/ConsoleKeys"


def exchange(instance: EmbeddedInstance, code: str, account_sid: str | None = None) -> Answer:
    form = {"AccountSid": account_sid or instance.account.sid, "Code": code}
    return call(instance.api, "POST", ORIGIN + PATH, data=form)


def codes(instance: EmbeddedInstance, real_time: datetime | None = None) -> ConsoleCodeOperations:
    """Return the operations for console codes. Without `real_time`, the operations use the current time."""
    if real_time is None:
        return instance.engine.program.console_codes
    keys = instance.accounts.api_keys
    at = ApiKeyOperations(keys.api_keys, keys.masters, keys.now, keys.new_sid, lambda: real_time)
    return ConsoleCodeOperations(ConsoleCodeRepository(instance.table), at, lambda: real_time)


def status_with(instance: EmbeddedInstance, key: Answer) -> int:
    auth = (key.body["sid"], key.body["secret"])
    return call(instance.api, "GET", f"{ORIGIN}/v1/Services", auth=auth).status


def test_code_is_exchanged_for_a_key_of_a_day(embedded: EmbeddedInstance) -> None:
    answered = exchange(embedded, codes(embedded).create(embedded.account.sid))
    assert (answered.status, set(answered.body)) == (201, {"sid", "account_sid", "secret", "date_expires"})
    assert answered.body["account_sid"] == embedded.account.sid
    left = datetime.fromisoformat(answered.body["date_expires"]) - datetime.now(UTC)
    assert timedelta(hours=23, minutes=59) < left <= CONSOLE_KEY_LIFETIME
    assert status_with(embedded, answered) == 200


def test_code_works_once(embedded: EmbeddedInstance) -> None:
    code = codes(embedded).create(embedded.account.sid)
    assert exchange(embedded, code).status == 201
    refused = exchange(embedded, code)
    assert (refused.status, refused.body["code"]) == (401, 20003)


def test_code_works_for_ten_minutes(embedded: EmbeddedInstance) -> None:
    just, over = datetime.now(UTC) - CODE_LIFETIME + timedelta(seconds=30), datetime.now(UTC) - CODE_LIFETIME
    assert exchange(embedded, codes(embedded, just).create(embedded.account.sid)).status == 201
    assert exchange(embedded, codes(embedded, over).create(embedded.account.sid)).status == 401


@pytest.mark.parametrize("account_sid", ["AC" + "0" * 32, "alice", ""])
def test_code_belongs_to_one_account(embedded: EmbeddedInstance, account_sid: str) -> None:
    code = codes(embedded).create(embedded.account.sid)
    form = {"AccountSid": account_sid, "Code": code}
    assert call(embedded.api, "POST", ORIGIN + PATH, data=form).status == 401
    assert exchange(embedded, code).status == 201


def test_only_the_hash_of_a_code_is_stored(embedded: EmbeddedInstance) -> None:
    code = codes(embedded).create(embedded.account.sid)
    (item,) = embedded.items("console-code#")
    assert item["sk"] == f"console-code#{hashlib.sha256(code.encode()).hexdigest()}"
    assert code not in str(embedded.items(""))


def test_key_is_refused_when_it_has_expired(embedded: EmbeddedInstance) -> None:
    old = datetime.now(UTC) - CONSOLE_KEY_LIFETIME
    operations = codes(embedded, old)
    sid, secret = _exchange_at(operations, embedded.account.sid)
    assert call(embedded.api, "GET", f"{ORIGIN}/v1/Services", auth=(sid, secret)).status == 401


def test_exchange_deletes_expired_codes_and_keys_only(embedded: EmbeddedInstance) -> None:
    old = codes(embedded, datetime.now(UTC) - 2 * CONSOLE_KEY_LIFETIME)
    expired, _ = _exchange_at(old, embedded.account.sid)
    old.create(embedded.account.sid)
    kept, _ = embedded.accounts.api_keys.create(embedded.account.sid)
    waiting = codes(embedded).create(embedded.account.sid)
    assert len(embedded.items("console-code#")) == 2
    made = exchange(embedded, codes(embedded).create(embedded.account.sid))
    assert {each.sid for each in embedded.accounts.api_keys.list(embedded.account.sid)} == {kept.sid, made.body["sid"]}
    assert expired not in str(embedded.items(""))
    assert exchange(embedded, waiting).status == 201


def test_moving_the_test_clock_does_not_end_a_sign_in() -> None:
    """`convoke console` runs in another process, and does not know the test clock.

    Therefore codes and keys must expire by the real time.
    """
    with held_instance(movable_clock=MovableClock()) as instance:
        key = exchange(instance, codes(instance).create(instance.account.sid))
        code = codes(instance).create(instance.account.sid)
        instance.engine.advance(timedelta(days=3))
        assert status_with(instance, key) == 200
        assert exchange(instance, code).status == 201


def test_aws_has_no_codes() -> None:
    """On AWS, each request with an invented code would read the table. Therefore there are no codes on AWS."""
    with moto_instance() as instance:
        form, url = {"AccountSid": instance.account.sid, "Code": "x"}, ORIGIN + PATH
        assert call(instance.api, "POST", url, data=form).status == 401
        assert call(instance.api, "POST", url, data=form, auth=(instance.account.sid, instance.token)).status == 404


# The command line


@pytest.fixture
def data(tmp_path: Path) -> str:
    return str(tmp_path / "convoke.db")


def test_console_prints_a_link_that_signs_in(data: str) -> None:
    with held_instance(data) as instance:
        printed = CliRunner().invoke(main, ["console", "--data", data, "--url", "http://127.0.0.1:1234/"])
        assert printed.exit_code == 0
        url, _, fragment = printed.output.strip().partition("#code=")
        assert url == "http://127.0.0.1:1234/console"
        account_sid, code = fragment.split(".")
        assert exchange(instance, code, account_sid).status == 201


def test_console_without_a_data_file_is_refused(data: str) -> None:
    refused = CliRunner().invoke(main, ["console", "--data", data])
    assert (refused.exit_code, "there is no data file" in refused.output) == (1, True)


def _exchange_at(operations: ConsoleCodeOperations, account_sid: str) -> tuple[str, str]:
    key, secret = operations.exchange(NewConsoleKey(account_sid=account_sid, code=operations.create(account_sid)))
    return key.sid, secret
