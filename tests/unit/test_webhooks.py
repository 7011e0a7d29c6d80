"""A webhook configuration accepts only URLs that can be called, and the empty URL, which removes the stored URL."""

from __future__ import annotations

import pytest

from convoke.domain.errors import InvalidWebhookSettingsError
from convoke.domain.urls import MAX_URL_CHARACTERS
from convoke.domain.webhooks import check_url


@pytest.mark.parametrize(
    "url",
    [
        "https://hooks.example.com",
        "http://localhost:1/",
        "HTTPS://hooks.example.com:65535/a?b=c#d",
        "https://[::1]:8080/!~",
        "https://me:пароль@münchen.example/größe",
        "https://h/".ljust(MAX_URL_CHARACTERS, "x"),
    ],
)
def test_absolute_http_url_is_accepted_unchanged(url: str) -> None:
    assert check_url(url) == url


def test_empty_url_removes_the_one_that_was_set() -> None:
    assert check_url("") is None


@pytest.mark.parametrize(
    "url",
    [
        "hooks.example.com",
        "/hooks",
        "ftp://hooks.example.com/",
        "https://",
        "https:///hooks",
        "https://:443/hooks",
        "https://hooks.example.com:0/",
        "https://hooks.example.com:65536/",
        "https://hooks.example.com:port/",
        "https://[::1/",
        "https://hooks.example.com/a b",
        "https://hooks.example.com/ ",
        "https://hooks.example.com/\t",
        "https://hooks.example.com/\x7f",
        "https://hooks.example.com/\x00",
        "https://a..b/",
        "https://faß.example/",
        "https://hooks.example.com/\ud800",
    ],
)
def test_url_that_cannot_be_called_is_refused(url: str) -> None:
    with pytest.raises(InvalidWebhookSettingsError):
        check_url(url)


def test_too_long_url_is_refused() -> None:
    with pytest.raises(InvalidWebhookSettingsError) as refused:
        check_url("https://h/".ljust(MAX_URL_CHARACTERS + 1, "x"))
    assert refused.value.message == f"The parameter must be at most {MAX_URL_CHARACTERS} characters"
