"""Convoke signs webhook requests with `X-Twilio-Signature`. The official SDK accepts the signatures."""

from __future__ import annotations

import hashlib

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from twilio.request_validator import RequestValidator

from convoke.webhooks.signature import sign

TOKEN = "12345678901234567890123456789012"

ZEROS = "0" * 32

JSON_URL = "https://hooks.example.com/json?bodySHA256=015abd7f5cc57a2dd94b7590f04ad8084273905ee33ec5cebeae62276a97f862"

VECTORS = [
    pytest.param(
        "https://hooks.example.com/x",
        {"MessagingBinding.Address": "+15551112222", "Body": "h\u00e9llo & =", "Z": ""},
        "0OvB+Qbc8X8hyO+2Xlc98N8Wwqw=",
        id="form",
    ),
    pytest.param(
        "https://hooks.example.com/get?EventType=onMessageAdded&Index=0",
        {},
        "sLV0WVn3hocPXrXRsYxFkNjHEZ4=",
        id="GET",
    ),
    pytest.param(JSON_URL, {}, "/n6+qXgcOLqcJFBdn+SwNevTYOE=", id="JSON"),
    pytest.param(
        "https://hooks.example.com/twilio?tenant=7",
        {
            "AccountSid": "AC" + ZEROS,
            "EventType": "onConversationStateUpdated",
            "ChatServiceSid": "IS" + ZEROS,
            "ConversationSid": "CH" + ZEROS,
            "MessagingServiceSid": "MG" + ZEROS,
            "StateFrom": "initializing",
            "StateTo": "active",
            "Reason": "EVENT",
            "StateUpdated": "2026-01-02T03:04:05.678Z",
        },
        "Fj+kuNTKpy4einw/AWIzNRuRshc=",
        id="state event",
    ),
]


@pytest.mark.parametrize(("url", "parameters", "signature"), VECTORS)
def test_signature_equals_the_vector_and_passes_the_official_validator(
    url: str, parameters: dict[str, str], signature: str
) -> None:
    assert sign(url, parameters, TOKEN) == signature
    assert RequestValidator(TOKEN).validate(url, parameters, signature)


def test_json_vector_url_carries_the_body_hash() -> None:
    assert JSON_URL.endswith("?bodySHA256=" + hashlib.sha256(b'{"a":1}').hexdigest())


@pytest.mark.parametrize(("url", "parameters", "signature"), VECTORS)
def test_parameter_order_does_not_change_the_signature(url: str, parameters: dict[str, str], signature: str) -> None:
    assert sign(url, dict(reversed(list(parameters.items()))), TOKEN) == signature


def test_parameter_names_sort_by_code_point() -> None:
    url = "https://hooks.example.com/x"
    assert sign(url, {"b": "1", "B": "2", "a": "3"}, TOKEN) == sign(url + "B2a3b1", {}, TOKEN)


@pytest.mark.parametrize(
    ("url", "parameters", "token"),
    [
        ("https://hooks.example.com/y", {"A": "1"}, TOKEN),
        ("http://hooks.example.com/x", {"A": "1"}, TOKEN),
        ("https://hooks.example.com:443/x", {"A": "1"}, TOKEN),
        ("https://hooks.example.com/x?", {"A": "1"}, TOKEN),
        ("https://hooks.example.com/x", {"A": "2"}, TOKEN),
        ("https://hooks.example.com/x", {"A": "1", "B": ""}, TOKEN),
        ("https://hooks.example.com/x", {}, TOKEN),
        ("https://hooks.example.com/x", {"A": "1"}, TOKEN[1:]),
        ("https://hooks.example.com/x", {"A": "1"}, ""),
    ],
)
def test_different_url_parameter_or_token_changes_the_signature(
    url: str, parameters: dict[str, str], token: str
) -> None:
    assert sign(url, parameters, token) != sign("https://hooks.example.com/x", {"A": "1"}, TOKEN)


TEXT = st.text(st.characters(codec="utf-8"))


@settings(deadline=None)
@given(st.dictionaries(TEXT.filter(bool), TEXT, max_size=5), TEXT.filter(bool))
def test_official_validator_accepts_any_parameters_and_token(parameters: dict[str, str], token: str) -> None:
    url = "https://hooks.example.com/x?tenant=7"
    assert RequestValidator(token).validate(url, parameters, sign(url, parameters, token))
