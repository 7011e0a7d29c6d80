"""If a signature is wrong, `convoke webhooks verify` names the probable mistake."""

from __future__ import annotations

from urllib.parse import urlencode

import pytest
from click.testing import CliRunner, Result
from twilio.request_validator import RequestValidator

from convoke.cli.main import main

TOKEN = "12345678901234567890123456789012"
URL = "https://hooks.example.com/x?b=2&a=one%20two"
FORM = {"EventType": "onMessageAdded", "Body": "one + one\n= two", "Address": "+15551112222", "Empty": ""}


def signature(url: str = URL, form: dict[str, str] = FORM, token: str = TOKEN) -> str:
    return str(RequestValidator(token).compute_signature(url, form))


def verify(url: str, body: str, signed: str, token: str = TOKEN, *, by: str = "--token") -> Result:
    given = ["--token", token] if by == "--token" else []
    environ = {} if given else {by: token}
    arguments = ["webhooks", "verify", "--url", url, "--signature", signed, *given]
    return CliRunner().invoke(main, arguments, input=body, env=environ)


@pytest.mark.parametrize("by", ["--token", "CONVOKE_AUTH_TOKEN"])
@pytest.mark.parametrize("end", ["", "\n"])
def test_matching_signature_is_confirmed(by: str, end: str) -> None:
    result = verify(URL, urlencode(FORM) + end, signature(), by=by)
    assert (result.exit_code, result.output) == (0, "The signature matches.\n")


def test_url_with_a_malformed_host_is_refused_in_one_line() -> None:
    result = verify("http://[", "", signature())
    assert result.exit_code == 2
    assert result.output.endswith("Error: Invalid value for --url: The URL must have a valid host.\n")


def test_signature_of_a_get_request_without_a_body_matches() -> None:
    assert verify(URL, "", signature(form={})).exit_code == 0


@pytest.mark.parametrize(
    ("seen", "explanation"),
    [
        (URL.replace("https", "http"), "begins with https://"),
        (URL.replace(".com", ".com:443"), "does not contain the port 443"),
        (URL.replace("/x?", "/x/?"), "does not end with a slash"),
        (URL.replace("b=2&a=one%20two", "a=one%20two&b=2"), "in another order"),
        (URL.replace("%20", "+"), "encoded differently"),
        (URL + "#rc=2", "fragment"),
        (URL.replace("https://", "https://me:secret@"), "credentials"),
    ],
)
def test_mismatch_explains_how_the_url_was_changed(seen: str, explanation: str) -> None:
    result = verify(seen, urlencode(FORM), signature())
    assert result.exit_code == 1
    first, mistake = result.output.splitlines()
    assert first == "The signature does not match."
    assert explanation in mistake


@pytest.mark.parametrize(
    ("signed", "explanation"),
    [
        ("https://hooks.example.com:443/x", "contains the port 443"),
        ("http://hooks.example.com/x", "begins with http://"),
        ("https://hooks.example.com/x/", "ends with a slash"),
    ],
)
def test_mismatch_explains_what_the_signed_url_had_in_addition(signed: str, explanation: str) -> None:
    result = verify("https://hooks.example.com/x", urlencode(FORM), signature(signed))
    assert result.exit_code == 1
    assert explanation in result.output


@pytest.mark.parametrize(
    ("body", "explanation"),
    [
        (urlencode(FORM).replace("+", "%20").replace("%2B", "+"), "read as a plus"),
        (urlencode({name: urlencode({"": value})[1:] for name, value in FORM.items()}), "encoded twice"),
        (urlencode({name: value.replace("\n", "\r\n") for name, value in FORM.items()}), "line ends"),
    ],
)
def test_mismatch_explains_how_the_body_was_changed(body: str, explanation: str) -> None:
    result = verify(URL, body, signature())
    assert result.exit_code == 1
    assert explanation in result.output


def test_several_url_mistakes_are_explained_together() -> None:
    seen = URL.replace("https://hooks.example.com/x?", "http://hooks.example.com:80/x/?")
    result = verify(seen, urlencode(FORM), signature())
    assert result.exit_code == 1
    assert len(result.output.splitlines()) == 4


def test_unexplained_mismatch_suggests_another_auth_token() -> None:
    result = verify(URL, urlencode(FORM), signature(token="0" * 32))
    assert result.exit_code == 1
    assert "Auth Token of this account" in result.output
    assert TOKEN not in result.output
