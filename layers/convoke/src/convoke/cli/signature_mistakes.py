"""Which mistake makes a receiver believe that a signature is wrong (reference, d.6)."""

from __future__ import annotations

import hmac
from collections.abc import Iterable, Iterator
from itertools import permutations, product
from typing import NamedTuple, TypeVar
from urllib.parse import SplitResult, parse_qsl, quote, unquote, unquote_plus, urlencode, urlsplit

from convoke.webhooks.signature import sign

DEFAULT_PORTS = {"http": 80, "https": 443}

MAX_PERMUTED_PARAMETERS = 5
"""Parameters of a query that are tried in every order."""

Value = TypeVar("Value")

Variants = list[tuple[str | None, Value]]
"""What a part may have been when it was signed, each with the mistake that made it another; None as it is."""


class _Parts(NamedTuple):
    scheme: str
    host: str
    path: str
    query: str
    fragment: str


def mistakes(url: str, body: str, token: str, signature: str) -> list[str] | None:
    """The fewest that explain `signature`: none where it fits; None where no usual ones do."""
    candidates = [
        ([mistake for mistake in (*of_url, of_body) if mistake], signed_url, parameters)
        for (of_url, signed_url), (of_body, parameters) in product(_urls(urlsplit(url)), _bodies(body))
    ]
    for found, signed_url, parameters in sorted(candidates, key=lambda candidate: len(candidate[0])):
        if hmac.compare_digest(sign(signed_url, parameters, token).encode(), signature.encode()):
            return found
    return None


def _urls(url: SplitResult) -> Iterator[tuple[tuple[str | None, ...], str]]:
    for scheme in _schemes(url):
        for others in product(_hosts(url, scheme[1]), _paths(url), _queries(url.query), _fragments(url)):
            chosen = (scheme, *others)
            yield tuple(mistake for mistake, _ in chosen), _joined(_Parts(*(value for _, value in chosen)))


def _joined(parts: _Parts) -> str:
    query = f"?{parts.query}" if parts.query else ""
    return f"{parts.scheme}://{parts.host}{parts.path}{query}{parts.fragment}"


def _schemes(url: SplitResult) -> Variants[str]:
    other = "http" if url.scheme == "https" else "https"
    told = f"The URL that was signed begins with {other}://: something in front of the receiver ends TLS, or begins it."
    return [(None, url.scheme), (told, other)]


def _hosts(url: SplitResult, scheme: str) -> Variants[str]:
    _, at, host = url.netloc.rpartition("@")
    name, colon, port = host.rpartition(":") if not host.endswith("]") else (host, "", "")
    as_it_is: Variants[str] = [(None, url.netloc)]
    if at:
        as_it_is.append(("The credentials of the URL are not signed.", host))
    if colon and port.isdecimal():
        return [*as_it_is, (f"The URL that was signed names no port, not {port}.", name)]
    default = DEFAULT_PORTS.get(scheme, 443)
    return [*as_it_is, (f"The URL that was signed names its port, {default}.", f"{host}:{default}")]


def _paths(url: SplitResult) -> Variants[str]:
    if url.path.endswith("/"):
        return [(None, url.path), ("The path that was signed has no slash at its end.", url.path.rstrip("/"))]
    return [(None, url.path), ("The path that was signed has a slash at its end.", f"{url.path}/")]


def _queries(query: str) -> Variants[str]:
    """Each text once, by the first mistake that makes it."""
    found: dict[str, str | None] = {query: None}
    for mistake, other in _other_queries(query) if query else ():
        found.setdefault(other, mistake)
    return [(mistake, text) for text, mistake in found.items()]


def _other_queries(query: str) -> Iterator[tuple[str, str]]:
    encoded = "The query was encoded in another way when it was signed: take it as it came, and do not rebuild it."
    pairs = parse_qsl(query, keep_blank_values=True)
    yield from ((encoded, other) for other in (query.replace("+", "%20"), query.replace("%20", "+"), unquote(query)))
    yield encoded, urlencode(pairs)
    yield encoded, urlencode(pairs, quote_via=quote)
    parts = query.split("&")
    orders: Iterable[tuple[str, ...]] = (
        permutations(parts) if len(parts) <= MAX_PERMUTED_PARAMETERS else [tuple(sorted(parts))]
    )
    yield from (("The parameters of the query were in another order when it was signed.", "&".join(o)) for o in orders)
    yield "The query is not part of what was signed.", ""


def _fragments(url: SplitResult) -> Variants[str]:
    if not url.fragment:
        return [(None, "")]
    return [(None, f"#{url.fragment}"), ("The fragment of the URL, from # on, is not signed.", "")]


def _bodies(body: str) -> Variants[dict[str, str]]:
    """A form. The line feed that an editor leaves at its end is no part of it."""
    text = body.rstrip("\r\n")
    form = _parsed(text)
    decoded = "The body was decoded before it was parsed: a + in it is a plus, and no blank."
    twice = "The body was encoded twice."
    unsigned = "The parameters are not part of what was signed: those of a GET stand in the URL."
    lines = "Line ends in the values were changed."
    return [
        (None, form),
        (decoded, _parsed(text.replace("+", "%2B"))),
        (twice, {unquote_plus(name): unquote_plus(value) for name, value in form.items()}),
        (lines, {name: value.replace("\r\n", "\n") for name, value in form.items()}),
        (lines, {name: value.replace("\r\n", "\n").replace("\n", "\r\n") for name, value in form.items()}),
        (unsigned, {}),
    ]


def _parsed(text: str) -> dict[str, str]:
    return dict(parse_qsl(text, keep_blank_values=True))
