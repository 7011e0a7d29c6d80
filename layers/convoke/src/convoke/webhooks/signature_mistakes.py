"""Find out why a webhook receiver computes a different signature than Convoke.

A receiver signs the URL and the body that arrived, and compares the result with X-Twilio-Signature. If a proxy or a web
framework has changed the URL or the body, the signatures differ. This module undoes combinations of common changes
until the result has the given signature. See docs/behaviour/webhook-delivery.md#signature.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import permutations, product
from typing import NamedTuple, TypeVar
from urllib.parse import SplitResult, parse_qsl, quote, unquote, unquote_plus, urlencode, urlsplit

from convoke.webhooks.signature import sign_text, sorted_text

DEFAULT_PORTS = {"http": 80, "https": 443}

MAX_PERMUTED_PARAMETERS = 4
"""The maximum number of query parameters of which the module tries all orders.

With more parameters, the module tries only the given order and the sorted order, because n parameters have n! orders.
"""

Value = TypeVar("Value")

Variants = list[tuple[str | None, Value]]
"""The values that one part of the signed request may have had.

Each pair contains a sentence about a mistake of the receiver, and the value that Convoke signed if this mistake was
made. The sentence is None for the value that arrived.
"""


class _Parts(NamedTuple):
    scheme: str
    host: str
    path: str
    query: str
    fragment: str


def find_mistakes(url: str, body: str, token: str, signature: str) -> list[str] | None:
    """Return the smallest set of mistakes that explains `signature`.

    `url` and `body` are the request as the receiver saw it. `token` is the Auth Token. `signature` is the value of the
    header X-Twilio-Signature, which Convoke computed.

    Return an empty list if `signature` matches `url` and `body` as they are. Return None if no known mistakes explain
    the signature. Raise ValueError if the host in `url` is malformed.
    """
    candidates = [
        ([mistake for mistake in (*url_mistakes, body_mistake) if mistake], signed_url + text)
        for (url_mistakes, signed_url), (text, body_mistake) in product(_urls(urlsplit(url)), _texts(body).items())
    ]
    for mistakes, text in sorted(candidates, key=lambda candidate: len(candidate[0])):
        if sign_text(text, token) == signature:
            return mistakes
    return None


def _texts(body: str) -> dict[str, str | None]:
    """Map each text that Convoke may have signed for the body to the first mistake that leads to this text.

    `sorted_text` makes such a text from the parameters in the body. The text of the body that arrived is mapped to
    None.
    """
    mistakes_by_text: dict[str, str | None] = {}
    for mistake, parameters in _bodies(body):
        mistakes_by_text.setdefault(sorted_text(parameters), mistake)
    return mistakes_by_text


def _urls(url: SplitResult) -> Iterator[tuple[tuple[str | None, ...], str]]:
    for scheme in _schemes(url):
        # Each scheme has its own default port, so the variants of the host depend on the scheme.
        for others in product(_hosts(url, scheme[1]), _paths(url), _queries(url.query), _fragments(url)):
            chosen = (scheme, *others)
            yield tuple(mistake for mistake, _ in chosen), _join_url(_Parts(*(value for _, value in chosen)))


def _join_url(parts: _Parts) -> str:
    query = f"?{parts.query}" if parts.query else ""
    return f"{parts.scheme}://{parts.host}{parts.path}{query}{parts.fragment}"


def _schemes(url: SplitResult) -> Variants[str]:
    other = "http" if url.scheme == "https" else "https"
    mistake = f"The signed URL begins with {other}://. A proxy in front of the receiver terminates or adds TLS."
    return [(None, url.scheme), (mistake, other)]


def _hosts(url: SplitResult, scheme: str) -> Variants[str]:
    _, at, host = url.netloc.rpartition("@")
    # An IPv6 address without a port ends with a bracket. The colons inside the brackets do not start a port.
    name, colon, port = host.rpartition(":") if not host.endswith("]") else (host, "", "")
    variants: Variants[str] = [(None, url.netloc)]
    if at:
        variants.append(("The signed URL does not contain the credentials.", host))
    if colon and port.isdecimal():
        return [*variants, (f"The signed URL does not contain the port {port}.", name)]
    default = DEFAULT_PORTS.get(scheme, 443)
    return [*variants, (f"The signed URL contains the port {default}.", f"{host}:{default}")]


def _paths(url: SplitResult) -> Variants[str]:
    if url.path.endswith("/"):
        return [(None, url.path), ("The path of the signed URL does not end with a slash.", url.path.rstrip("/"))]
    return [(None, url.path), ("The path of the signed URL ends with a slash.", f"{url.path}/")]


def _queries(query: str) -> Variants[str]:
    """Return the query strings that Convoke may have signed.

    Each pair contains the first mistake that leads to the query string. The mistake is None for the query string that
    arrived.
    """
    mistakes_by_query: dict[str, str | None] = {query: None}
    for mistake, other in _other_queries(query) if query else ():
        mistakes_by_query.setdefault(other, mistake)
    return [(mistake, text) for text, mistake in mistakes_by_query.items()]


def _other_queries(query: str) -> Iterator[tuple[str, str]]:
    encoded = "The query string of the signed URL was encoded differently. Use the raw query string; do not rebuild it."
    pairs = parse_qsl(query, keep_blank_values=True)
    yield from ((encoded, other) for other in (query.replace("+", "%20"), query.replace("%20", "+"), unquote(query)))
    yield encoded, urlencode(pairs)
    yield encoded, urlencode(pairs, quote_via=quote)
    parts = query.split("&")
    orders: Iterable[tuple[str, ...]] = (
        permutations(parts) if len(parts) <= MAX_PERMUTED_PARAMETERS else [tuple(sorted(parts))]
    )
    reordered = "The query parameters of the signed URL are in another order."
    yield from ((reordered, "&".join(order)) for order in orders)
    yield "The signed URL does not contain the query string.", ""


def _fragments(url: SplitResult) -> Variants[str]:
    if not url.fragment:
        return [(None, "")]
    return [(None, f"#{url.fragment}"), ("The signed URL does not contain the fragment, which begins with #.", "")]


def _bodies(body: str) -> Variants[dict[str, str]]:
    # Remove line ends at the end of the body, because editors add a line end to a file, and no form ends with one.
    text = body.rstrip("\r\n")
    form = _parse_form(text)
    decoded = "The body was decoded before it was parsed, so each + in it must be read as a plus, not as a space."
    encoded_twice = "The body was encoded twice."
    unsigned = "The signature covers no body parameters. For a GET request, the parameters are in the URL."
    line_ends = "The line ends in the parameter values were changed."
    return [
        (None, form),
        (decoded, _parse_form(text.replace("+", "%2B"))),
        (encoded_twice, {unquote_plus(name): unquote_plus(value) for name, value in form.items()}),
        (line_ends, {name: value.replace("\r\n", "\n") for name, value in form.items()}),
        (line_ends, {name: value.replace("\r\n", "\n").replace("\n", "\r\n") for name, value in form.items()}),
        (unsigned, {}),
    ]


def _parse_form(text: str) -> dict[str, str]:
    return dict(parse_qsl(text, keep_blank_values=True))
