"""Requests with made-up credentials cause few AWS calls.

See docs/behaviour/requests-and-answers.md#unknown-credentials.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest

from convoke.domain.sids import Prefix
from convoke.embedded.gateway import RequestContext
from convoke.operations.accounts import new_token
from tests.api.test_twilio_webhooks import create_sender
from tests.support.aws import MotoInstance, moto_instance
from tests.support.instances import ORIGIN, EmbeddedInstance, Instance, call, event_of
from tests.support.sids import FixedSid
from tests.support.template import STACK_ID_DIGITS

FIRST_ACCOUNT = f"AC{STACK_ID_DIGITS}"


@pytest.fixture
def deployed() -> Iterator[MotoInstance]:
    with moto_instance() as instance:
        yield instance


def status(instance: Instance, sid: str, password: str = "guessed") -> int:
    return call(instance.api, "GET", f"{ORIGIN}/v1/Services", auth=(sid, password)).status


def recorded_calls(instance: MotoInstance) -> list[str]:
    """Return a list that will collect the API function's calls to DynamoDB and Secrets Manager."""
    calls: list[str] = []
    edges = instance.edges("api")
    for client in (edges.table._client, edges.auth_tokens.client):
        client.meta.events.register("before-call.*.*", lambda model, **_: calls.append(model.name))
    return calls


def test_invented_account_sids_cost_one_read_each_and_no_secret(deployed: MotoInstance) -> None:
    calls = recorded_calls(deployed)
    for number in range(3):
        assert [status(deployed, f"AC{number:032x}") for _ in range(2)] == [401, 401]
    assert calls == ["GetItem"] * 3


def test_invented_api_key_sids_cost_one_read_each(deployed: MotoInstance) -> None:
    calls = recorded_calls(deployed)
    for number in range(3):
        assert [status(deployed, f"SK{number:032x}") for _ in range(2)] == [401, 401]
    assert calls == ["GetItem"] * 3


def test_secret_of_an_existing_account_is_fetched_once_for_many_wrong_tokens(deployed: MotoInstance) -> None:
    sid, calls = deployed.account.sid, recorded_calls(deployed)
    deployed.edges("api").auth_tokens.fetch.clear()
    assert [status(deployed, sid) for _ in range(3)] == [401] * 3
    assert calls == ["GetItem", "GetSecretValue"]


def test_first_account_needs_no_item_to_authenticate(deployed: MotoInstance) -> None:
    secrets, token = deployed.edges("api").auth_tokens, new_token()
    secrets.client.create_secret(Name=f"convoke/auth-tokens/{FIRST_ACCOUNT}", SecretString=token)
    assert status(deployed, FIRST_ACCOUNT, token) == 200


def created_account(instance: Instance, sid: str) -> tuple[str, str]:
    token = new_token()
    return instance.accounts.create(sid, token).sid, token


def created_key(instance: Instance, sid: str) -> tuple[str, str]:
    operations = instance.accounts.api_keys
    object.__setattr__(operations, "new_sid", FixedSid(sid))
    key, secret = operations.create(instance.account.sid)
    return key.sid, secret


@pytest.mark.parametrize(("prefix", "create"), [(Prefix.ACCOUNT, created_account), (Prefix.API_KEY, created_key)])
def test_credentials_that_were_unknown_work_at_once_after_their_creation_in_the_same_process(
    embedded: EmbeddedInstance, prefix: Prefix, create: Callable[[Instance, str], tuple[str, str]]
) -> None:
    sid = f"{prefix}{1:032x}"
    assert status(embedded, sid) == 401
    assert status(embedded, *create(embedded, sid)) == 200


def webhook_status(instance: Instance, sender_sid: str) -> int:
    event = event_of("POST", f"{ORIGIN}/convoke/v1/Inbound/Twilio/{sender_sid}", data={"Body": "x"})
    return int(instance.api(event, RequestContext())["statusCode"])


def test_invented_sender_sids_cost_one_read_each(deployed: MotoInstance) -> None:
    calls = recorded_calls(deployed)
    for number in range(3):
        assert [webhook_status(deployed, f"XE{number:032x}") for _ in range(2)] == [403, 403]
    assert webhook_status(deployed, "no-sid") == 403
    assert calls == ["GetItem"] * 3


def test_wrong_signatures_for_a_sender_cost_no_more_than_one(deployed: MotoInstance) -> None:
    sid = create_sender(deployed)
    calls = recorded_calls(deployed)
    first = webhook_status(deployed, sid), len(calls)
    assert [webhook_status(deployed, sid) for _ in range(3)] == [403] * 3
    assert first == (403, len(calls))
