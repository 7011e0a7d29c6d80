"""Each list response has a meta block, and a page token fits only one list. See docs/behaviour/pagination.md."""

from __future__ import annotations

import base64
import json
from datetime import UTC, datetime
from typing import Any
from urllib.parse import parse_qsl, urlencode, urlsplit

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from pydantic import BaseModel

from convoke.api.pagination import Pagination
from convoke.api.requests import Request, ServiceRequest
from convoke.domain.accounts import Account
from convoke.domain.errors import InvalidParameterError
from convoke.domain.pages import Page, PageRequest, page_of_list
from convoke.domain.services import Service

NOON = datetime(2026, 1, 2, 12, tzinfo=UTC)
DIGITS = "0123456789abcdef" * 2

KEY, OTHER_KEY = b"one account", b"another account"

HOST = "http://localhost:8080"
SERVICES = HOST + "/v1/Services"

FIRST, LAST = "IS" + "0" * 32, "IS" + "f" * 32

ACCOUNT = Account(sid="AC" + DIGITS, date_created=NOON, default_chat_service_sid=FIRST)


class Shown(BaseModel):
    sid: str


def event(query: dict[str, str] | None = None, host: str = "localhost:8080", scheme: str = "http") -> dict[str, Any]:
    raw_query = urlencode(query or {}, errors="surrogatepass")
    return {"headers": {"host": host, "x-forwarded-proto": scheme}, "rawQueryString": raw_query}


def pagination(query: dict[str, str] | None = None, url: str = SERVICES, key: bytes = KEY) -> Pagination:
    return Pagination(Request(event(query), ACCOUNT), url, "services", key)


def body(list_: Pagination, page: Page[str]) -> dict[str, Any]:
    answered: dict[str, Any] = json.loads(list_.body(page, lambda sid: Shown(sid=sid), lambda sid: sid))
    return answered


def middle(list_: Pagination) -> dict[str, Any]:
    """Return the meta block of a page that has a previous page and a next page."""
    meta: dict[str, Any] = body(list_, Page([FIRST, LAST], has_previous=True, has_next=True))["meta"]
    return meta


def query_of(url: str) -> dict[str, str]:
    return dict(parse_qsl(urlsplit(url).query, keep_blank_values=True, strict_parsing=True))


NEXT = query_of(middle(pagination({"PageSize": "2"}))["next_page_url"])
PREVIOUS = query_of(middle(pagination({"PageSize": "2"}))["previous_page_url"])


def refused(list_: Pagination) -> str | None:
    with pytest.raises(InvalidParameterError) as caught:
        _ = list_.page_request
    assert (caught.value.code, caught.value.status) == (20001, 400)
    return caught.value.parameter


def test_single_page_has_no_next_or_previous_url() -> None:
    answered = body(pagination(), Page([FIRST, LAST], has_previous=False, has_next=False))
    assert answered == {
        "meta": {
            "page": 0,
            "page_size": 50,
            "first_page_url": f"{SERVICES}?PageSize=50&Page=0",
            "previous_page_url": None,
            "url": f"{SERVICES}?PageSize=50&Page=0",
            "next_page_url": None,
            "key": "services",
        },
        "services": [{"sid": FIRST}, {"sid": LAST}],
    }


def test_empty_list_has_the_same_meta_block() -> None:
    answered = body(pagination({"PageSize": "7"}), Page([], has_previous=False, has_next=False))
    assert answered["services"] == []
    assert answered["meta"]["url"] == answered["meta"]["first_page_url"] == f"{SERVICES}?PageSize=7&Page=0"
    assert (answered["meta"]["previous_page_url"], answered["meta"]["next_page_url"]) == (None, None)


def test_emptied_page_has_no_next_or_previous_url() -> None:
    answered = body(pagination(NEXT), Page([], has_previous=True, has_next=False))
    assert (answered["meta"]["previous_page_url"], answered["meta"]["next_page_url"]) == (None, None)


def test_meta_keys_have_a_fixed_order() -> None:
    answered = body(pagination(), Page([FIRST], has_previous=False, has_next=False))
    assert list(answered) == ["meta", "services"]
    assert list(answered["meta"]) == [
        *("page", "page_size", "first_page_url", "previous_page_url", "url", "next_page_url", "key"),
    ]


@pytest.mark.parametrize(
    ("asked", "size"),
    [
        (None, 50),
        ("1", 1),
        ("50", 50),
        ("99", 99),
        ("100", 100),
        ("101", 100),
        ("500", 100),
        ("1000000000000", 100),
        ("0", 1),
        ("-1", 1),
        ("-1000000000000", 1),
    ],
)
def test_page_size_is_clamped_to_1_and_100(asked: str | None, size: int) -> None:
    list_ = pagination() if asked is None else pagination({"PageSize": asked})
    assert list_.page_request == PageRequest(size)
    assert middle(list_)["page_size"] == size
    assert f"PageSize={size}&" in middle(list_)["next_page_url"]


@pytest.mark.parametrize("asked", ["", " ", "ten", "1.5", "1e2", "0x10", "50,50", "9" * 5000, "\ud800"])
def test_page_size_that_is_not_an_integer_is_rejected(asked: str) -> None:
    assert refused(pagination({"PageSize": asked})) == "PageSize"


def test_page_number_without_a_token_returns_the_first_page() -> None:
    list_ = pagination({"Page": "3"})
    assert list_.page_request == PageRequest(50)
    assert (list_.page_number, middle(list_)["url"]) == (0, f"{SERVICES}?PageSize=50&Page=0")


@pytest.mark.parametrize(("page", "number"), [("3", 3), ("0", 0), ("-3", 0), (None, 0)])
def test_page_number_with_a_token_does_not_select_the_page(page: str | None, number: int) -> None:
    token = {"PageToken": NEXT["PageToken"]}
    list_ = pagination(token if page is None else {**token, "Page": page})
    assert list_.page_number == number
    assert list_.page_request.position == LAST


def test_page_number_that_is_not_an_integer_is_rejected() -> None:
    with pytest.raises(InvalidParameterError) as caught:
        _ = pagination({"PageToken": NEXT["PageToken"], "Page": "x"}).page_number
    assert caught.value.parameter == "Page"


def test_next_page_starts_after_the_last_resource() -> None:
    assert list(NEXT) == ["PageSize", "Page", "PageToken"]
    assert (NEXT["PageSize"], NEXT["Page"]) == ("2", "1")
    assert pagination(NEXT).page_request == PageRequest(2, LAST, forward=True)


def test_previous_page_ends_before_the_first_resource() -> None:
    assert list(PREVIOUS) == ["PageSize", "Page", "PageToken"]
    assert (PREVIOUS["PageSize"], PREVIOUS["Page"]) == ("2", "0")
    assert pagination(PREVIOUS).page_request == PageRequest(2, FIRST, forward=False)


def test_page_numbers_count_up_and_down() -> None:
    meta = middle(pagination())
    for number in (1, 2, 3):
        meta = middle(pagination(query_of(meta["next_page_url"])))
        assert meta["page"] == number
    for number in (2, 1, 0, 0):
        meta = middle(pagination(query_of(meta["previous_page_url"])))
        assert meta["page"] == number


@pytest.mark.parametrize("query", [NEXT, PREVIOUS])
def test_meta_url_leads_to_the_same_page(query: dict[str, str]) -> None:
    meta = middle(pagination(query))
    assert query_of(meta["url"]) == query
    assert meta["first_page_url"] == f"{SERVICES}?PageSize=2&Page=0"


def test_first_and_last_page_have_one_neighbour_url() -> None:
    first = body(pagination(), Page([FIRST], has_previous=False, has_next=True))["meta"]
    assert first["previous_page_url"] is None
    assert first["next_page_url"]
    last = body(pagination(NEXT), Page([FIRST], has_previous=True, has_next=False))["meta"]
    assert last["next_page_url"] is None
    assert last["previous_page_url"]


def test_page_size_may_change_between_pages() -> None:
    assert pagination({**NEXT, "PageSize": "9"}).page_request == PageRequest(9, LAST)


@pytest.mark.parametrize("query", [NEXT, PREVIOUS])
@pytest.mark.parametrize(
    "url",
    [
        HOST + "/v1/Services/",
        HOST + "/v1/Conversations",
        f"{HOST}/v1/Services/{FIRST}/Conversations",
        f"{HOST}/v1/Conversations/CH{DIGITS}/Participants",
    ],
)
def test_page_token_of_another_list_is_rejected(url: str, query: dict[str, str]) -> None:
    assert refused(pagination(query, url)) == "PageToken"


@pytest.mark.parametrize("query", [NEXT, PREVIOUS])
def test_page_token_of_another_account_is_rejected(query: dict[str, str]) -> None:
    assert refused(pagination(query, key=OTHER_KEY)) == "PageToken"


def test_page_token_is_valid_on_any_host() -> None:
    request = Request(event(NEXT, host="api.example.com", scheme="https"), ACCOUNT)
    list_ = Pagination(request, "https://api.example.com/v1/Services", "services", KEY)
    assert list_.page_request == PageRequest(2, LAST)
    assert middle(list_)["next_page_url"].startswith("https://api.example.com/v1/Services?")


def test_page_token_is_valid_with_any_public_url() -> None:
    url = "https://example.com/chat"
    request = Request(event(NEXT), ACCOUNT, public_url=url)
    list_ = Pagination(request, f"{url}/v1/Services", "services", KEY)
    assert list_.page_request == PageRequest(2, LAST)
    assert middle(list_)["next_page_url"].startswith(f"{url}/v1/Services?")


@pytest.mark.parametrize("query", [NEXT, PREVIOUS])
def test_page_token_with_any_bit_changed_is_rejected(query: dict[str, str]) -> None:
    sealed = base64.urlsafe_b64decode(query["PageToken"])
    for position in range(len(sealed) * 8):
        changed = bytearray(sealed)
        changed[position // 8] ^= 1 << position % 8
        assert refused(pagination({"PageToken": base64.urlsafe_b64encode(changed).decode()})) == "PageToken"


def test_truncated_or_extended_page_token_is_rejected() -> None:
    sealed = base64.urlsafe_b64decode(NEXT["PageToken"])
    for changed in (*(sealed[:length] for length in range(len(sealed))), sealed[1:], sealed + b"0", b"0" + sealed):
        assert refused(pagination({"PageToken": base64.urlsafe_b64encode(changed).decode()})) == "PageToken"


@pytest.mark.parametrize("token", ["", " ", "x", "=", "PA" + LAST, LAST, "PT1" + LAST, "\u00e9", "\ud800", "A" * 5000])
def test_malformed_page_token_is_rejected(token: str) -> None:
    assert refused(pagination({"PageToken": token})) == "PageToken"


@settings(deadline=None)
@given(st.text())
@example("AAAAAAAAAAAAAAAAAAAAAA==")
def test_any_text_but_a_page_token_is_rejected(token: str) -> None:
    assert refused(pagination({"PageToken": token})) == "PageToken"


def test_page_tokens_survive_url_encoding() -> None:
    for number in range(100):
        page = Page([f"IS{number:032x}"], has_previous=True, has_next=True)
        meta = body(pagination(), page)["meta"]
        for url, forward in ((meta["next_page_url"], True), (meta["previous_page_url"], False)):
            assert url.isascii()
            assert pagination(query_of(url)).page_request == PageRequest(50, f"IS{number:032x}", forward=forward)


SERVICE = Service(
    account_sid=ACCOUNT.sid,
    sid=FIRST,
    friendly_name="Default",
    date_created=NOON,
    date_updated=NOON,
    service_admin_role_sid="RL1",
    service_user_role_sid="RL2",
    conversation_admin_role_sid="RL3",
    conversation_user_role_sid="RL4",
)


@pytest.mark.parametrize(
    ("service_in_path", "expected"),
    [(False, HOST + "/v1/Conversations"), (True, f"{HOST}/v1/Services/{FIRST}/Conversations")],
)
def test_resource_urls_keep_the_path_prefix_of_the_request(service_in_path: bool, expected: str) -> None:
    assert ServiceRequest(event(), ACCOUNT, SERVICE, service_in_path).url("/Conversations") == expected


@pytest.mark.parametrize(
    ("headers", "origin"),
    [
        ({"host": "localhost:8080", "x-forwarded-proto": "http"}, "http://localhost:8080"),
        ({"host": "API.example.com"}, "https://API.example.com"),
        ({"host": "[::1]:8080", "x-forwarded-proto": "http"}, "http://[::1]:8080"),
        ({}, "https://localhost"),
        (None, "https://localhost"),
    ],
)
def test_resource_urls_begin_with_the_origin_of_the_request(headers: dict[str, str] | None, origin: str) -> None:
    request = Request({"headers": headers}, ACCOUNT)
    assert request.base_url == origin
    assert request.url("/Services") == f"{origin}/v1/Services"


@pytest.mark.parametrize(
    ("value", "expected"),
    [(None, False), ("true", True), ("false", False), ("True", True), ("fAlse", False), ("TRUE", True)],
)
def test_webhook_enabled_header_is_case_insensitive(value: str | None, expected: bool) -> None:
    headers = {} if value is None else {"x-twilio-webhook-enabled": value}
    assert Request({"headers": headers}, ACCOUNT).notify_webhooks is expected


@pytest.mark.parametrize("value", ["", "yes", "1", " true", "true,true"])
def test_webhook_enabled_header_other_than_true_or_false_is_rejected(value: str) -> None:
    with pytest.raises(InvalidParameterError) as caught:
        _ = Request({"headers": {"x-twilio-webhook-enabled": value}}, ACCOUNT).notify_webhooks
    assert (caught.value.code, caught.value.parameter) == (20001, "X-Twilio-Webhook-Enabled")


# Large pages


MAX_RESPONSE_BYTES = 6 * 1024 * 1024

TEXTS = st.builds(
    lambda character, length: character * length,
    st.sampled_from(["a", "\n", "\x01", '"', "\\", "\u00e9", "\u6f22", "\u2028", "\U0001f600"]),
    st.sampled_from([0, 1, 16_384, 32_768]),
)


class ShownText(BaseModel):
    sid: str
    text: str


def bytes_on_lambda(body: str) -> int:
    """Return the size in bytes of a Lambda response with the body `body`.

    The Lambda runtime may escape characters that are not ASCII. The result is the larger of the two possible sizes.
    See https://github.com/aws/aws-lambda-python-runtime-interface-client.
    """
    response = {"statusCode": 200, "headers": {"Content-Type": "application/json"}, "body": body, "cookies": []}
    return max(len(json.dumps(response, ensure_ascii=escaped).encode()) for escaped in (False, True))


@settings(deadline=None, max_examples=20)
@given(st.lists(TEXTS, max_size=150))
@example(["\n" * 32_768] * 150)
@example(["\x01" * 32_768] * 150)
def test_every_page_fits_into_a_response_of_lambda_and_no_resource_is_missing(texts: list[str]) -> None:
    by_sid = {f"IS{number:032x}": text for number, text in enumerate(texts)}
    sids = [*by_sid]

    def fetch(query: dict[str, str]) -> dict[str, Any]:
        list_ = pagination({"PageSize": "100", **query})
        page = page_of_list(sids, sids, list_.page_request)
        answered = list_.body(page, lambda sid: ShownText(sid=sid, text=by_sid[sid]), lambda sid: sid)
        assert bytes_on_lambda(answered) <= MAX_RESPONSE_BYTES
        content: dict[str, Any] = json.loads(answered)
        return content

    forward = [fetch({})]
    while url := forward[-1]["meta"]["next_page_url"]:
        forward.append(fetch(query_of(url)))
    assert [each["sid"] for page in forward for each in page["services"]] == sids
    backward = forward[-1:]
    while url := backward[0]["meta"]["previous_page_url"]:
        backward.insert(0, fetch(query_of(url)))
    assert [each["sid"] for page in backward for each in page["services"]] == sids


def test_page_of_small_resources_is_not_shortened() -> None:
    sids = [f"IS{number:032x}" for number in range(100)]
    listed = pagination({"PageSize": "100"}).body(
        Page(sids, has_previous=False, has_next=False),
        lambda sid: ShownText(sid=sid, text="a" * 32_768),
        lambda sid: sid,
    )
    assert bytes_on_lambda(listed) > MAX_RESPONSE_BYTES / 2
    content = json.loads(listed)
    assert ([each["sid"] for each in content["services"]], content["meta"]["next_page_url"]) == (sids, None)


@pytest.mark.parametrize(("spare", "expected"), [(0, 2), (-1, 1)])
def test_page_has_as_many_resources_as_the_limit_allows(
    spare: int, expected: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    sids = [f"IS{number:032x}" for number in range(5)]
    size = len(json.dumps(ShownText(sid=sids[0], text="\n").model_dump_json()))
    monkeypatch.setattr("convoke.api.pagination.MAX_PAGE_BYTES", 2 * size + spare)
    listed = pagination().body(
        Page(sids, has_previous=False, has_next=False), lambda sid: ShownText(sid=sid, text="\n"), lambda sid: sid
    )
    content = json.loads(listed)
    assert [each["sid"] for each in content["services"]] == sids[:expected]
    assert pagination(query_of(content["meta"]["next_page_url"])).page_request.position == sids[expected - 1]
