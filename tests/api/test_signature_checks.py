"""Clients can check whether Convoke signed a webhook request. See docs/behaviour/webhook-delivery.md#signature."""

from __future__ import annotations

from urllib.parse import urlencode

import pytest

from convoke.domain.signature_checks import MAX_BODY_CHARACTERS, MAX_SIGNATURE_CHARACTERS
from convoke.domain.urls import MAX_URL_CHARACTERS
from convoke.webhooks.signature import sign
from tests.support.instances import ORIGIN, Answer, Instance, call

URL = "https://hooks.example.com/x?a=1"
PARAMETERS = {"EventType": "onMessageAdded", "Body": "a + b"}


def check(instance: Instance, url: str, signature: str, body: str = urlencode(PARAMETERS)) -> Answer:
    return instance.call("POST", "/convoke/v1/SignatureChecks", {"Url": url, "Signature": signature, "Body": body})


def test_matching_signature_has_no_mistakes(instance: Instance) -> None:
    answered = check(instance, URL, sign(URL, PARAMETERS, instance.token))
    assert (answered.status, answered.body) == (
        200,
        {"account_sid": instance.account.sid, "matches": True, "mistakes": []},
    )


def test_usual_mistake_is_named(instance: Instance) -> None:
    answered = check(instance, URL.replace("https", "http"), sign(URL, PARAMETERS, instance.token)).body
    assert answered["matches"] is False
    assert len(answered["mistakes"]) == 1
    assert "https://" in answered["mistakes"][0]


def test_unexplained_signature_has_null_as_mistakes(instance: Instance) -> None:
    answered = check(instance, URL, sign(URL, PARAMETERS, "another token")).body
    assert (answered["matches"], answered["mistakes"]) == (False, None)


def test_body_is_optional_for_a_get_request(instance: Instance) -> None:
    form = {"Url": URL, "Signature": sign(URL, {}, instance.token)}
    assert instance.call("POST", "/convoke/v1/SignatureChecks", form).body["matches"]


def test_check_with_an_api_key_uses_the_auth_token_of_the_account(instance: Instance) -> None:
    key, secret = instance.accounts.api_keys.create(instance.account.sid)
    form = {"Url": URL, "Signature": sign(URL, {}, instance.token)}
    url = f"{ORIGIN}/convoke/v1/SignatureChecks"
    assert call(instance.api, "POST", url, auth=(key.sid, secret), data=form).body["matches"]


@pytest.mark.parametrize(
    ("parameter", "limit"),
    [("Url", MAX_URL_CHARACTERS), ("Signature", MAX_SIGNATURE_CHARACTERS), ("Body", MAX_BODY_CHARACTERS)],
)
def test_too_long_parameter_is_refused(instance: Instance, parameter: str, limit: int) -> None:
    """Convoke checks signatures on the event loop. The length limits make sure that each check is short."""
    form = {"Url": URL, "Signature": "x", "Body": ""}
    assert instance.call("POST", "/convoke/v1/SignatureChecks", form | {parameter: "a" * limit}).status == 200
    refused = instance.call("POST", "/convoke/v1/SignatureChecks", form | {parameter: "a" * (limit + 1)})
    assert (refused.status, refused.body["code"], refused.body["details"]["parameter"]) == (400, 20001, parameter)


@pytest.mark.parametrize("missing", ["Url", "Signature"])
def test_missing_parameter_is_refused(instance: Instance, missing: str) -> None:
    form = {"Url": URL, "Signature": "x"}
    del form[missing]
    refused = instance.call("POST", "/convoke/v1/SignatureChecks", form)
    assert (refused.status, refused.body["message"]) == (400, f"{missing} must be given")


@pytest.mark.parametrize("url", ["http://[", "http://a]b/", "https://[::1/path"])
def test_url_with_a_malformed_host_is_refused(instance: Instance, url: str) -> None:
    refused = instance.call("POST", "/convoke/v1/SignatureChecks", {"Url": url, "Signature": "x"})
    assert (refused.status, refused.body["code"], refused.body["details"]["parameter"]) == (400, 20001, "Url")
