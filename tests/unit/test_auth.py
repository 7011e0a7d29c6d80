"""The API parses the `Authorization` header of HTTP Basic authentication (api/auth.py)."""

from __future__ import annotations

import base64

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from convoke.api.auth import basic_credentials
from convoke.domain.errors import NotAuthenticatedError

SID = "AC" + "0" * 32
TOKEN = "12345678901234567890123456789012"


def basic(user_and_password: bytes, scheme: str = "Basic") -> dict[str, str]:
    return {"authorization": f"{scheme} {base64.b64encode(user_and_password).decode()}"}


@pytest.mark.parametrize("scheme", ["Basic", "basic", "BASIC"])
def test_basic_scheme_is_case_insensitive(scheme: str) -> None:
    assert basic_credentials(basic(f"{SID}:{TOKEN}".encode(), scheme)) == (SID, TOKEN)


@pytest.mark.parametrize(
    ("sent", "user", "password"),
    [
        (b"user:pass:word", "user", "pass:word"),
        (b"user::", "user", ":"),
        (b"user:", "user", ""),
        (b":password", "", "password"),
        (b":", "", ""),
        ("us\u00e9r:p\u00e4ss".encode(), "us\u00e9r", "p\u00e4ss"),
        (b" user : password ", " user ", " password "),
    ],
)
def test_first_colon_separates_user_and_password(sent: bytes, user: str, password: str) -> None:
    assert basic_credentials(basic(sent)) == (user, password)


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"authorization": ""},
        {"authorization": "Basic"},
        {"authorization": "Basic "},
        {"authorization": "Basic ="},
        {"authorization": "Basic %%%"},
        {"authorization": "Basic QUM6"[:-1]},
        {"authorization": "Basic QUM6 dG9rZW4="},
        {"authorization": "Basic QUM6\u00e9"},
        {"authorization": "Basic QUM6\ud800"},
        {"authorization": f"Basic {SID}:{TOKEN}"},
        {"authorization": base64.b64encode(f"{SID}:{TOKEN}".encode()).decode()},
        {"x-authorization": basic(b"a:b")["authorization"]},
        basic(b"no colon"),
        basic(b""),
        basic(b"\xff\xfe:password"),
        basic(b"user:\xed\xa0\x80"),
        basic(b"user:password", "Bearer"),
        basic(b"user:password", "Digest"),
        basic(b"user:password", "Basically"),
        basic(b"user:password", "\u0130basic"),
    ],
)
def test_missing_or_malformed_authorization_header_is_answered_with_401(headers: dict[str, str]) -> None:
    with pytest.raises(NotAuthenticatedError) as caught:
        basic_credentials(headers)
    assert (caught.value.code, caught.value.status) == (20003, 401)
    assert (caught.value.parameter, caught.value.details) == (None, {})


@settings(deadline=None)
@given(st.text(st.characters(exclude_characters=":", codec="utf-8")), st.text(st.characters(codec="utf-8")))
def test_any_user_and_password_are_decoded_unchanged(user: str, password: str) -> None:
    assert basic_credentials(basic(f"{user}:{password}".encode())) == (user, password)


@settings(deadline=None)
@given(st.one_of(st.text(), st.text().map(lambda text: "Basic " + text)))
def test_any_authorization_header_gives_credentials_or_not_authenticated(header: str) -> None:
    try:
        user, password = basic_credentials({"authorization": header})
    except NotAuthenticatedError:
        return
    assert ":" not in user
    assert base64.b64decode(header.split(" ", 1)[1]) == f"{user}:{password}".encode()
