"""Convoke normalizes webhook URLs and hides their passwords (domain/urls.py)."""

from __future__ import annotations

from urllib.parse import unquote_to_bytes, urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st
from urllib3.util import parse_url

from convoke.domain.urls import normal_or_unchanged, normal_url, shown_url


@pytest.mark.parametrize(
    ("url", "normal"),
    [
        ("http://example.com", "http://example.com/"),
        ("HTTP://Example.COM:80/A?b=C#rc=2", "http://example.com:80/A?b=C#rc=2"),
        ("https://münchen.example/", "https://xn--mnchen-3ya.example/"),
        ("http://\uff11\uff12\uff17.0.0.1/", "http://127.0.0.1/"),
        ("http://h/größe?x=ü", "http://h/gr%C3%B6%C3%9Fe?x=%C3%BC"),
        ("http://h/a%2fb", "http://h/a%2Fb"),
        ("http://h/a/../b", "http://h/b"),
        ("http://me:pässπ@h/", "http://me:p%C3%A4ss%CF%80@h/"),
        ("http://me:100%@h/", "http://me:100%25@h/"),
        ("http://me:a@b@h/", "http://me:a%40b@h/"),
        ("http://evil.example\\@h/", "http://evil.example%5C@h/"),
        ("http://[FE80::1]:3/", "http://[fe80::1]:3/"),
        ("http://my_service:3000/", "http://my_service:3000/"),
    ],
)
def test_normal_form(url: str, normal: str) -> None:
    assert normal_url(url) == normal
    assert normal_url(normal) == normal


@pytest.mark.parametrize(
    "url",
    [
        "",
        "h",
        "//h/",
        "ftp://h/",
        "http:///x",
        "http://a..b/",
        f"http://{'x' * 64}.example/",
        f"http://{'x.' * 127}example/",
        "http://faß.example/",
        "http://a%20b/",
        "http://h:0/",
        "http://h:99999/",
        "http://[::1/",
        "http://[fe80::1%25eth0]/",
        "http://h/a b",
        "http://h/\n",
        "http://h/\ud800",
        "http://me:\ud800@h/",
    ],
)
def test_url_that_cannot_be_called_has_no_normal_form(url: str) -> None:
    with pytest.raises(ValueError, match=r".+"):
        normal_url(url)
    assert normal_or_unchanged(url) == url


TEXT = st.text(max_size=20)


@given(TEXT, TEXT, TEXT, TEXT, TEXT, st.sampled_from(["h", "Größe.example", "[::1]", "a.b:8"]))
def test_normal_form_is_stable_and_equals_the_form_that_the_client_sends(
    user: str, password: str, path: str, query: str, fragment: str, host: str
) -> None:
    try:
        normal = normal_url(f"https://{user}:{password}@{host}/{path}?{query}#{fragment}")
    except ValueError:
        return
    assert normal.isascii()
    assert normal_url(normal) == normal == parse_url(normal).url


@given(st.text(st.characters(exclude_categories=["Cs", "Cc", "Z"], exclude_characters="%/?#:[]\\"), max_size=20))
def test_password_is_sent_in_utf_8(password: str) -> None:
    try:
        normal = normal_url(f"https://me:{password}@h/")
    except ValueError:
        return  # `urlsplit` refuses some Unicode characters, because their normal form is a delimiter of URLs.
    sent = urlsplit(normal).password
    assert unquote_to_bytes(sent or "").decode() == password


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("https://h/x@y?a=b:c@d", "https://h/x@y?a=b:c@d"),
        ("https://me:secret@h/x", "https://me:***@h/x"),
        ("https://me:se:cr@et@h/x", "https://me:***@h/x"),
        ("https://:secret@h", "https://:***@h"),
        ("https://token@h/", "https://***@h/"),
        ("https://a:b@h#c@d", "https://a:***@h#c@d"),
    ],
)
def test_shown_url_hides_the_password(url: str, shown: str) -> None:
    assert shown_url(url) == shown
    assert shown_url(shown) == shown
