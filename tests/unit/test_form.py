"""The API parses form-encoded request bodies (api/form.py)."""

from __future__ import annotations

import base64
from collections.abc import Callable, Mapping
from typing import Any
from urllib.parse import parse_qsl, quote, urlencode

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from convoke.api.form import FORM, MAX_FORM_FIELDS, MAX_REQUEST_BODY_BYTES, Form, parse_form
from convoke.domain.errors import InvalidParameterError

ALL = {"A": True, "B": True, "Timers.Inactive": True, "": True}


def plain(body: str | None, content_type: str | None = FORM) -> dict[str, Any]:
    headers = {} if content_type is None else {"content-type": content_type}
    return {"headers": headers, "body": body, "isBase64Encoded": False}


def encoded(body: bytes) -> dict[str, Any]:
    return {"headers": {"content-type": FORM}, "body": base64.b64encode(body).decode(), "isBase64Encoded": True}


def values(form: Form) -> dict[str, str | list[str]]:
    return form.select(ALL)


def refused(event: Mapping[str, Any]) -> str | None:
    with pytest.raises(InvalidParameterError) as caught:
        parse_form(event)
    assert (caught.value.code, caught.value.status) == (20001, 400)
    return caught.value.parameter


def parsed_or_refused(event: Mapping[str, Any]) -> Form | InvalidParameterError:
    try:
        return parse_form(event)
    except InvalidParameterError as error:
        return error


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ("A=1", {"A": ["1"]}),
        ("A=1&B=2", {"A": ["1"], "B": ["2"]}),
        ("A=2&B=x&A=1&A=2", {"A": ["2", "1", "2"], "B": ["x"]}),
        ("A=", {"A": [""]}),
        ("A", {"A": [""]}),
        ("A=&A=1&A=", {"A": ["", "1", ""]}),
        ("&&A=1&&", {"A": ["1"]}),
        ("A=a=b", {"A": ["a=b"]}),
        ("A=a;B=b", {"A": ["a;B=b"]}),
        ("A=a+b%20c%2Bd", {"A": ["a b c+d"]}),
        ("%41=1", {"A": ["1"]}),
        ("Timers.Inactive=PT1M", {"Timers.Inactive": ["PT1M"]}),
        ("A=h%C3%A9llo+%F0%9F%98%80", {"A": ["h\u00e9llo \U0001f600"]}),
        ("A=%00%0A", {"A": ["\x00\n"]}),
        ("A=%", {"A": ["%"]}),
        ("A=%zz", {"A": ["%zz"]}),
        ("A=%7B%22identity%22%3A%22a%22%7D", {"A": ['{"identity":"a"}']}),
        ("a=1&A[]=2", {}),
        ("=1", {"": ["1"]}),
    ],
)
def test_form_is_parsed_equally_from_plain_text_and_base64(body: str, expected: dict[str, list[str]]) -> None:
    assert values(parse_form(plain(body))) == expected
    assert values(parse_form(encoded(body.encode()))) == expected


@pytest.mark.parametrize(
    "event",
    [
        plain(None),
        plain(""),
        {"headers": {}, "isBase64Encoded": False},
        {"headers": {"content-type": "application/json"}},
        plain("", "application/json"),
        encoded(b""),
    ],
)
def test_missing_body_is_an_empty_form_with_any_content_type(event: dict[str, Any]) -> None:
    assert values(parse_form(event)) == {}


@pytest.mark.parametrize(
    "content_type",
    [
        FORM,
        FORM + "; charset=utf-8",
        FORM + ";charset=UTF-8",
        FORM + " ; charset=utf-8",
        "Application/X-WWW-Form-Urlencoded",
        " " + FORM + " ",
        None,
    ],
)
def test_form_content_type_may_have_parameters_any_case_or_be_missing(content_type: str | None) -> None:
    assert values(parse_form(plain("A=1", content_type))) == {"A": ["1"]}


def test_event_without_headers_is_parsed_as_a_form() -> None:
    assert values(parse_form({"body": "A=1"})) == {"A": ["1"]}


@pytest.mark.parametrize(
    "content_type",
    [
        "application/json",
        "multipart/mixed; boundary=x",
        "text/plain",
        "",
        FORM + "ed",
        "x" + FORM,
        FORM + ", text/plain",
    ],
)
def test_content_type_other_than_form_is_rejected(content_type: str) -> None:
    assert refused(plain("A=1", content_type)) == "Content-Type"


@pytest.mark.parametrize(
    "body", ["A=%FF", "A=%C3", "A=%ED%A0%80", "A=%F8%88%80%80%80", "%FF=1", "A=1&B=%E2%82", "A=%C0%80"]
)
def test_form_that_is_not_utf_8_is_rejected(body: str) -> None:
    assert refused(plain(body)) == "body"
    assert refused(encoded(body.encode())) == "body"


@pytest.mark.parametrize("body", ["A", "A=1", "\u00e9", "QT0\u0661", "QQQQQ"])
def test_body_that_is_not_base64_is_rejected(body: str) -> None:
    assert refused({"headers": {}, "body": body, "isBase64Encoded": True}) == "body"


@pytest.mark.parametrize("body", [b"A=\xff", b"\x00\xff\xfe", b"\x1f\x8b\x08"])
def test_binary_body_is_rejected(body: bytes) -> None:
    assert refused(encoded(body)) == "body"


def test_form_with_more_than_1000_fields_is_rejected() -> None:
    at_limit = "&".join(["A=1"] * MAX_FORM_FIELDS)
    assert values(parse_form(plain(at_limit))) == {"A": ["1"] * 1000}
    assert refused(plain(at_limit + "&A=1")) == "body"
    assert refused(encoded((at_limit + "&B=1").encode())) == "body"


def test_form_error_message_does_not_contain_the_form() -> None:
    with pytest.raises(InvalidParameterError) as caught:
        parse_form(plain("Secret=%FF"))
    assert "Secret" not in caught.value.message
    assert caught.value.details == {"wanted": "a form in UTF-8 with at most 1000 fields"}


def test_last_value_of_a_repeated_field_wins_unless_it_is_a_list() -> None:
    form = Form([("A", "1"), ("B", "x"), ("A", "2"), ("A", "")])
    assert form.select({"A": False, "B": False}) == {"A": "", "B": "x"}
    assert form.select({"A": True, "B": True}) == {"A": ["1", "2", ""], "B": ["x"]}


def test_only_fields_that_were_sent_are_selected() -> None:
    form = Form([("A", "1"), ("Unknown", "2")])
    assert form.select({"A": False, "B": False, "C": True, "a": False}) == {"A": "1"}


FIELDS = st.lists(st.tuples(st.sampled_from(list(ALL)), st.text()), max_size=20)


@settings(deadline=None)
@given(FIELDS)
def test_any_urlencoded_form_is_parsed_to_the_same_fields(fields: list[tuple[str, str]]) -> None:
    meant: dict[str, list[str]] = {}
    for name, value in fields:
        meant.setdefault(name, []).append(value)
    for body in (urlencode(fields), urlencode(fields, quote_via=quote)):
        assert values(parse_form(plain(body))) == meant
        assert values(parse_form(encoded(body.encode()))) == meant


@settings(deadline=None)
@given(st.binary())
@example(b"%ff")
def test_any_bytes_are_parsed_as_a_form_or_rejected(body: bytes) -> None:
    outcome = parsed_or_refused(encoded(body))
    if isinstance(outcome, InvalidParameterError):
        assert outcome.parameter == "body"
    else:
        assert all(value.encode() for found in values(outcome).values() for value in found if value)


@settings(deadline=None)
@given(st.text(), st.booleans())
def test_any_body_is_parsed_as_a_form_or_rejected(body: str, is_base64: bool) -> None:
    outcome = parsed_or_refused({"headers": {}, "body": body, "isBase64Encoded": is_base64})
    assert isinstance(outcome, Form) or outcome.parameter == "body"


@pytest.mark.parametrize("event_of", [lambda body: plain(body.decode()), encoded], ids=["plain", "Base64"])
def test_body_limit_is_the_same_with_and_without_base64(event_of: Callable[[bytes], dict[str, Any]]) -> None:
    longest = b"A=" + b"x" * (MAX_REQUEST_BODY_BYTES - 2)
    assert values(parse_form(event_of(longest)))["A"] == ["x" * (MAX_REQUEST_BODY_BYTES - 2)]
    assert refused(event_of(longest + b"x")) == "body"


def test_event_without_headers_has_the_form_content_type() -> None:
    assert values(parse_form({**plain("A=1"), "headers": None})) == {"A": ["1"]}


def multipart(body: bytes, content_type: str = "multipart/form-data; boundary=xYz") -> dict[str, Any]:
    return encoded(body) | {"headers": {"content-type": content_type}}


def part(name: str, value: str, disposition: str = 'Content-Disposition: form-data; name="{}"') -> bytes:
    return f"--xYz\r\n{disposition.format(name)}\r\n\r\n{value}\r\n".encode()


CLOSE = b"--xYz--\r\n"


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        (part("A", "1") + CLOSE, {"A": ["1"]}),
        (part("A", "") + part("B", "x") + part("A", "2") + CLOSE, {"A": ["", "2"], "B": ["x"]}),
        (part("A", "é\r\n--xY\r\n\r\n&=%41+") + CLOSE, {"A": ["é\r\n--xY\r\n\r\n&=%41+"]}),
        (b"preamble\r\n" + part("A", "1") + CLOSE + b"epilogue", {"A": ["1"]}),
        (part("A", "1", 'content-disposition:form-data;filename="name=B"; name={}') + CLOSE, {"A": ["1"]}),
        (part("A", "1", 'Content-Type: text/plain\r\nContent-Disposition: form-data; name="{}"') + CLOSE, {"A": ["1"]}),
        (part("Timers.Inactive", "PT1M") + b"--xYz--", {"Timers.Inactive": ["PT1M"]}),
        (CLOSE, {}),
    ],
)
def test_multipart_form_has_the_fields_of_its_parts(body: bytes, expected: dict[str, list[str]]) -> None:
    assert values(parse_form(multipart(body))) == expected
    assert values(parse_form(multipart(body, 'Multipart/Form-Data; charset=utf-8; boundary="xYz"'))) == expected


@pytest.mark.parametrize(
    "event",
    [
        multipart(part("A", "1")),
        multipart(part("A", "1") + b"--xYzX\r\n" + CLOSE),
        multipart(b"A=1"),
        multipart(part("A", "1") + CLOSE, "multipart/form-data"),
        multipart(part("A", "1") + CLOSE, f"multipart/form-data; boundary={'x' * 71}"),
        multipart(part("A", "1", "Content-Type: text/plain") + CLOSE),
        multipart(part("A", "1", 'Content-Disposition: attachment; name="{}"') + CLOSE),
        multipart(b'--xYz\r\nContent-Disposition: form-data; name="A"\r\n1\r\n' + CLOSE),
        multipart(part("A", "1").replace(b"1", b"\xff") + CLOSE),
        multipart(part("A", "1") * (MAX_FORM_FIELDS + 1) + CLOSE),
    ],
)
def test_malformed_multipart_form_is_refused(event: dict[str, Any]) -> None:
    assert refused(event) == "body"


def test_multipart_form_has_at_most_1000_fields() -> None:
    assert values(parse_form(multipart(part("A", "1") * MAX_FORM_FIELDS + CLOSE))) == {"A": ["1"] * MAX_FORM_FIELDS}


@given(st.binary(max_size=60))
def test_any_multipart_body_is_parsed_or_refused(body: bytes) -> None:
    parsed_or_refused(multipart(b"--xYz\r\n" + body))
    parsed_or_refused(multipart(part("A", "1") + body + CLOSE))


PIECES = [*b"% %2 %41 %3d %3D %0A %25 %C3%A9 %C3 = & + _ a".split(), b" ", b"\n", b"\r"]


@given(st.lists(st.sampled_from(PIECES) | st.text(max_size=2).map(str.encode)).map(b"".join))
@example(b"a=%%32%35")
@example(b"a==%0D%0A=3D")
def test_body_is_parsed_as_the_standard_library_parses_it(body: bytes) -> None:
    try:
        pairs = parse_qsl(body.decode(), keep_blank_values=True, errors="strict")
    except ValueError:
        assert refused(encoded(body)) == "body"
    else:
        names = dict.fromkeys((name for name, _ in pairs), True)
        expected = {name: [value for other, value in pairs if other == name] for name in names}
        assert parse_form(encoded(body)).select(names) == expected
