"""Convoke refuses changes by web pages of other sites, except pages of an allowed origin.

See docs/behaviour/requests-and-answers.md#browsers.
"""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from convoke.api.origins import InvalidOriginError, Origins
from tests.support.instances import ORIGIN, EmbeddedInstance, Instance, call, held_instance

LISTED = "https://app.example.com"
FOREIGN = "https://evil.example.com"


@pytest.fixture
def with_listed_origin() -> Iterator[EmbeddedInstance]:
    with held_instance(allowed_origins=(LISTED,)) as instance:
        yield instance


@pytest.mark.parametrize("method", ["POST", "DELETE", "PATCH"])
@pytest.mark.parametrize(
    "headers",
    [
        {"sec-fetch-site": "cross-site"},
        {"sec-fetch-site": "same-site"},
        {"sec-fetch-site": "cross-site", "origin": ORIGIN},
        {"sec-fetch-site": "", "origin": ORIGIN},
        {"origin": FOREIGN},
        {"origin": "null"},
        {"origin": ""},
        {"origin": f"{ORIGIN}:8443"},
        {"origin": ORIGIN.replace("http", "https")},
    ],
    ids=str,
)
def test_change_from_another_site_is_refused(instance: Instance, method: str, headers: dict[str, str]) -> None:
    refused = instance.call(method, "/v1/Conversations", headers=headers)
    assert (refused.status, refused.body["code"]) == (403, 20006)
    assert "allowed origins" in refused.body["message"]
    assert instance.client().conversations.v1.conversations.list() == []


def test_refusal_comes_before_authentication(instance: Instance) -> None:
    refused = call(instance.api, "POST", f"{ORIGIN}/v1/Conversations", headers={"origin": FOREIGN})
    assert refused.status == 403


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"sec-fetch-site": "same-origin", "origin": ORIGIN},
        {"sec-fetch-site": "none"},
        {"origin": ORIGIN},
    ],
    ids=str,
)
def test_change_from_the_same_origin_is_accepted(instance: Instance, headers: dict[str, str]) -> None:
    answered = instance.call("POST", "/v1/Conversations", headers=headers)
    assert answered.status == 201
    assert not [name for name in answered.headers if name.startswith("Access-Control")]


def test_origin_of_the_public_url_is_the_origin_of_the_api() -> None:
    own = "https://example.com"
    with held_instance(public_url=f"{own}/chat") as instance:
        assert instance.call("POST", "/v1/Conversations", headers={"origin": own}).status == 201
        assert instance.call("POST", "/v1/Conversations", headers={"origin": ORIGIN}).status == 403


@pytest.mark.parametrize("method", ["GET", "HEAD"])
def test_read_from_another_site_has_no_cors_headers(instance: Instance, method: str) -> None:
    answered = instance.call(method, "/v1/Services", headers={"sec-fetch-site": "cross-site", "origin": FOREIGN})
    assert answered.status != 403
    assert not [name for name in answered.headers if name.startswith("Access-Control")]


def test_listed_origin_may_change_data_and_read_the_response(with_listed_origin: EmbeddedInstance) -> None:
    headers = {"sec-fetch-site": "cross-site", "origin": LISTED}
    answered = with_listed_origin.call("POST", "/v1/Conversations", headers=headers)
    assert answered.status == 201
    assert answered.headers["Access-Control-Allow-Origin"] == LISTED
    assert answered.headers["Vary"] == "Origin"
    exposed = set(answered.headers["Access-Control-Expose-Headers"].split(", "))
    assert {"Idempotent-Replayed", "Preference-Applied", "Twilio-Request-Id"} <= exposed


def test_listed_origin_can_read_an_error_and_a_deferred_response(with_listed_origin: EmbeddedInstance) -> None:
    refused = with_listed_origin.call("GET", "/v1/Nothing", headers={"origin": LISTED})
    assert (refused.status, refused.headers["Access-Control-Allow-Origin"]) == (404, LISTED)
    waited = with_listed_origin.call(
        "POST", "/v1/ConversationWithParticipants", headers={"origin": LISTED, "prefer": "wait=1"}
    )
    assert (waited.status, waited.headers["Access-Control-Allow-Origin"]) == (201, LISTED)
    assert waited.headers["Twilio-Request-Id"].startswith("RQ")


def test_preflight_of_listed_origin_needs_no_credentials(with_listed_origin: EmbeddedInstance) -> None:
    headers = {"origin": LISTED, "access-control-request-method": "POST"}
    answered = call(with_listed_origin.api, "OPTIONS", f"{ORIGIN}/v1/Conversations", headers=headers)
    assert (answered.status, answered.text) == (204, "")
    assert answered.headers["Access-Control-Allow-Origin"] == LISTED
    assert {"POST", "DELETE"} <= set(answered.headers["Access-Control-Allow-Methods"].split(", "))
    allowed = set(answered.headers["Access-Control-Allow-Headers"].split(", "))
    assert {
        "Authorization",
        "Content-Type",
        "Idempotency-Key",
        "Prefer",
        "X-Twilio-Webhook-Enabled",
        "X-Twilio-Token",
    } <= allowed
    assert "Access-Control-Allow-Credentials" not in answered.headers


def test_other_origin_gets_nothing_from_the_list(with_listed_origin: EmbeddedInstance) -> None:
    headers = {"origin": FOREIGN}
    assert with_listed_origin.call("POST", "/v1/Conversations", headers=headers).status == 403
    assert call(with_listed_origin.api, "OPTIONS", f"{ORIGIN}/v1/Conversations", headers=headers).status == 401
    answered = with_listed_origin.call("GET", "/v1/Services", headers=headers)
    assert "Access-Control-Allow-Origin" not in answered.headers
    assert answered.headers["Vary"] == "Origin"


@pytest.mark.parametrize(
    "origin", ["*", "example.com", "https://", "https://example.com/", "https://example.com/a", "ftp://example.com"]
)
def test_invalid_allowed_origin_is_refused_at_the_start(origin: str) -> None:
    with pytest.raises(InvalidOriginError, match="must be a scheme and a host"):
        Origins([origin])
