"""Convoke verifies the access tokens of chat clients (domain/access_tokens.py, operations/access_tokens.py)."""

from __future__ import annotations

import base64
import time
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import jwt
import pytest

from convoke.domain.access_tokens import MAX_TOKEN_BYTES, ChatSession
from convoke.domain.errors import ConversationsError
from convoke.operations.access_tokens import AccessTokenOperations
from convoke.storage.table import MAX_KEYS_PER_BATCH, Put
from tests.support.chat import Key, claims_of, new_key
from tests.support.instances import EmbeddedInstance, held_instance

HEADERS = {"cty": "twilio-fpa;v=1"}


@pytest.fixture
def instance() -> Iterator[EmbeddedInstance]:
    with held_instance() as instance:
        yield instance


@pytest.fixture
def key(instance: EmbeddedInstance) -> Key:
    return new_key(instance)


@pytest.fixture
def tokens(instance: EmbeddedInstance) -> AccessTokenOperations:
    return instance.engine.program.access_tokens


def signed(key: Key, claims: dict[str, Any], *, secret: str | None = None, **headers: Any) -> str:
    return jwt.encode(claims, secret or key.secret, algorithm="HS256", headers={**HEADERS, **headers})


def code_of(tokens: AccessTokenOperations, token: str) -> int:
    with pytest.raises(ConversationsError) as refused:
        tokens.verify(token)
    assert refused.value.status == 401
    assert token not in str(refused.value)
    assert refused.value.__cause__ is None or token not in repr(refused.value.__cause__)
    return refused.value.code


def test_token_of_the_official_helper_library_is_accepted(tokens: AccessTokenOperations, key: Key) -> None:
    session = tokens.verify(key.token("alice"))
    assert isinstance(session, ChatSession)
    assert (session.identity, session.service.sid, session.key_sid) == ("alice", key.chat_service_sid, key.sid)
    assert session.account.sid == key.account_sid
    assert 0 < session.expires_at.timestamp() - time.time() <= 3600


def test_token_with_the_older_name_of_the_grant_is_accepted(tokens: AccessTokenOperations, key: Key) -> None:
    grants = {"identity": "alice", "ip_messaging": {"service_sid": key.chat_service_sid}}
    assert tokens.verify(signed(key, claims_of(key, grants=grants))).identity == "alice"


@pytest.mark.parametrize(
    ("changed", "code"),
    [
        ({"iss": None}, 20103),
        ({"iss": "SK" + 32 * "0"}, 20103),
        ({"iss": "alice"}, 20103),
        ({"sub": None}, 20103),
        ({"sub": "AC" + 32 * "0"}, 20103),
        ({"exp": None}, 20101),
        ({"exp": "tomorrow"}, 20101),
        ({"exp": True}, 20101),
        ({"exp": 10**30}, 20101),
        ({"nbf": time.time() + 3600}, 20105),
        ({"iat": 0}, 20101),
        ({"grants": None}, 20106),
        ({"grants": []}, 20106),
        ({"grants": {"identity": "alice"}}, 20106),
        ({"grants": {"identity": "alice", "chat": {}}}, 20106),
        ({"grants": {"identity": "alice", "chat": {"service_sid": "IS" + 32 * "0"}}}, 20106),
    ],
)
def test_claim_that_is_missing_or_wrong_is_refused(
    changed: dict[str, Any], code: int, tokens: AccessTokenOperations, key: Key
) -> None:
    assert code_of(tokens, signed(key, claims_of(key, **changed))) == code


@pytest.mark.parametrize("identity", ["", 257 * "a", "US" + 32 * "0", None, 7])
def test_identity_must_be_valid(identity: Any, tokens: AccessTokenOperations, key: Key) -> None:
    grants = {"identity": identity, "chat": {"service_sid": key.chat_service_sid}}
    assert code_of(tokens, signed(key, claims_of(key, grants=grants))) == 20106


def test_token_is_valid_for_a_limited_time(tokens: AccessTokenOperations, key: Key) -> None:
    now = int(time.time())
    day = int(timedelta(hours=24).total_seconds())
    assert code_of(tokens, signed(key, claims_of(key, exp=now - 1))) == 20104
    assert code_of(tokens, signed(key, claims_of(key, iat=None, exp=now + day + 100))) == 20101
    # If `iat` is in the future, the maximum lifetime of a day starts now.
    assert code_of(tokens, signed(key, claims_of(key, iat=now + day, exp=now + 2 * day))) == 20101
    assert tokens.verify(signed(key, claims_of(key, iat=None, exp=now + day - 100))).identity == "alice"
    # The server that signs tokens can have a clock that is some seconds ahead. Convoke accepts such tokens.
    assert tokens.verify(signed(key, claims_of(key, iat=now + 5, nbf=now + 5, exp=now + 5 + day))).identity == "alice"


def test_only_hs256_with_the_secret_of_the_key_is_accepted(tokens: AccessTokenOperations, key: Key) -> None:
    claims = claims_of(key)
    assert code_of(tokens, signed(key, claims, secret="x" * 32)) == 20107
    assert code_of(tokens, jwt.encode(claims, key.secret.ljust(64), algorithm="HS512", headers=HEADERS)) == 20107
    assert code_of(tokens, jwt.encode(claims, "", algorithm="none", headers=HEADERS)) == 20107


def test_malformed_token_is_refused(tokens: AccessTokenOperations, key: Key) -> None:
    header = signed(key, claims_of(key)).partition(".")[0]
    nested = base64.urlsafe_b64encode(b"[" * 2500).decode().rstrip("=")
    for token in ("a.b.c", "é", f"{header}.{nested}.", signed(key, claims_of(key), cty="other")):
        assert code_of(tokens, token) == 20101
    long = signed(key, claims_of(key, jti="x" * MAX_TOKEN_BYTES))
    assert code_of(tokens, long) == 20101


def test_deleted_key_and_key_with_a_hashed_secret_are_refused(
    instance: EmbeddedInstance, tokens: AccessTokenOperations, key: Key
) -> None:
    token = key.token("alice")
    instance.accounts.api_keys.delete(key.sid)
    assert code_of(tokens, token) == 20103
    early = new_key(instance)
    owner = instance.items("owner")[0] | {"secret_hash": "0" * 64}
    instance.table.transact([Put({name: value for name, value in owner.items() if name != "master_version"})])
    instance.clear_caches()
    assert code_of(tokens, early.token("alice")) == 20103


def test_invented_keys_are_looked_up_once(instance: EmbeddedInstance, key: Key) -> None:
    read: list[str] = []
    stored = instance.engine.program.known_api_keys._api_keys.fetch_owner
    known = instance.engine.program.known_api_keys

    def fetch_owner(sid: str) -> Any:
        read.append(sid)
        return stored(sid)

    known.fetch_owner = type(known.fetch_owner)(fetch_owner)
    for _ in range(3):
        claims = claims_of(key, iss="SK" + 32 * "0")
        assert code_of(instance.engine.program.access_tokens, signed(key, claims)) == 20103
    assert read == ["SK" + 32 * "0"]


def test_sessions_of_more_users_than_one_read_can_contain_are_checked_together(
    instance: EmbeddedInstance, tokens: AccessTokenOperations, key: Key
) -> None:
    sessions = [tokens.connect(key.token(f"user{number}")) for number in range(MAX_KEYS_PER_BATCH + 5)]
    assert tokens.revoked(sessions) == []
    deleted = sessions[3]
    instance.client().conversations.v1.services(deleted.service.sid).users(deleted.user_sid).delete()
    assert tokens.revoked(sessions) == [deleted]
