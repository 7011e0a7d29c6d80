"""The URLs of webhooks: the normal form that Convoke calls, and the form that Convoke shows.

Convoke stores the URL of a webhook exactly as the client sent the URL. See
docs/decisions/0097-one-normal-form-of-a-url.md.
"""

from __future__ import annotations

import ipaddress
import re
from functools import lru_cache
from urllib.parse import quote, urlsplit, urlunsplit

MAX_URL_CHARACTERS = 2048

SUB_DELIMITERS = "!$&'()*+,;="
"""The characters that RFC 3986 calls sub-delims. Userinfo can contain these characters unencoded."""

HOST = re.compile(r"(?=.{1,253}$)([a-z0-9_-]{1,63}\.)*[a-z0-9_-]{1,63}\.?")

AMBIGUOUS = frozenset("ßς\u200c\u200d")
"""The characters that IDNA 2003 and IDNA 2008 encode differently.

Python's codec implements IDNA 2003. With IDNA 2003, `faß.example` becomes the host `fass.example`, which can belong to
another owner than `faß.example`.
"""

STRAY_PERCENT = re.compile(r"%(?![0-9A-Fa-f]{2})")

PASSWORD = re.compile(r"^([^:/?#]+://)(?:([^/?#:@]*)(:))?[^/?#]*@")


@lru_cache(maxsize=1024)
def normal_url(url: str) -> str:
    """Return the normal form of an absolute http or https URL. The normal form is ASCII and has a path.

    The host is in lower case and IDNA-encoded. In the rest of the URL, characters that a URL must not contain are
    percent-encoded in UTF-8. The function returns a URL in normal form unchanged. Raises ValueError if Convoke cannot
    call the URL.
    """
    url.encode()  # Raises UnicodeEncodeError, which is a ValueError, if the URL contains lone surrogates.
    # `urlsplit` removes tabs and line breaks without an error. Therefore this check comes before `urlsplit`.
    if any(character <= " " or character == "\x7f" for character in url):
        raise ValueError("a URL must not contain white space or control characters")
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https") or parts.port == 0:
        raise ValueError("a URL must be an absolute http or https URL")
    authority = _normal_host(parts.hostname or "")
    if parts.port is not None:
        authority += f":{parts.port}"
    userinfo, at, _ = parts.netloc.rpartition("@")
    if at:
        authority = f"{quote(STRAY_PERCENT.sub('%25', userinfo), safe=f'{SUB_DELIMITERS}:%')}@{authority}"
    # The import is not at the top, because urllib3 takes 11 % of the instructions of a start of the embedded engine.
    from urllib3.util import parse_url  # noqa: PLC0415 - see above

    return parse_url(urlunsplit(parts._replace(netloc=authority, path=parts.path or "/"))).url


def _normal_host(host: str) -> str:
    if ":" in host and "%" not in host:
        return f"[{ipaddress.IPv6Address(host)}]"
    if AMBIGUOUS & set(host):
        raise ValueError("the host is ambiguous: write it with xn--")
    name = host if host.isascii() else host.encode("idna").decode().lower()
    if not HOST.fullmatch(name):
        raise ValueError("the host is not a valid name")
    return name


def normal_or_unchanged(url: str) -> str:
    """Return the normal form of a stored URL, or the URL unchanged if `normal_url` raises ValueError.

    Earlier versions of Convoke stored such URLs. Convoke cannot call them.
    """
    try:
        return normal_url(url)
    except ValueError:
        return url


def shown_url(url: str) -> str:
    """Return a URL with `***` in place of its password, such as `https://user:***@example.com/`.

    If the userinfo has no colon, `***` replaces the whole userinfo. Convoke must show this form of a URL everywhere
    except in the resource that configures the URL.
    """
    return PASSWORD.sub(r"\1\2\3***@", url)
