"""Check the claims of access tokens. A chat client connects with an access token. See docs/chat.md#access-tokens.

The application's server creates each token with an official helper library. The library signs the token with the
secret of an API key. operations/access_tokens.py verifies the signature.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple

from convoke.domain.accounts import Account
from convoke.domain.errors import (
    AccessTokenExpiredError,
    AccessTokenNotYetValidError,
    ConversationsError,
    InvalidAccessTokenError,
    InvalidGrantsError,
    InvalidIssuerError,
)
from convoke.domain.participants import check_identity
from convoke.domain.services import Service
from convoke.domain.sids import Prefix, parse_sid

MAX_TOKEN_BYTES = 4 * 1024

MAX_TOKEN_LIFETIME = timedelta(hours=24)

CLOCK_SKEW = timedelta(minutes=1)
"""How far the clock of the application's server may be ahead of Convoke's clock."""

CONTENT_TYPE = "twilio-fpa;v=1"
"""The required value of the header `cty` of an access token."""

GRANTS = ("chat", "ip_messaging")
"""The possible names of the grant for chat. Old helper libraries use the name `ip_messaging`."""


class Claims(NamedTuple):
    """The checked claims of an access token."""

    identity: str
    chat_service_sid: str
    expires_at: datetime


class ChatSession(NamedTuple):
    """The permission that a verified access token grants to a chat client.

    Until `expires_at`, the chat client may act as the user with the identity `identity` in the service.
    """

    account: Account
    service: Service
    identity: str
    user_sid: str
    key_sid: str
    expires_at: datetime


def issuer(header: Mapping[str, Any], payload: Mapping[str, Any]) -> str:
    """Return the SID of the API key from the claim `iss` of a token. The function does not check the signature.

    Raises InvalidAccessTokenError if the header `cty` is wrong. Raises InvalidIssuerError if `iss` contains no SID of
    an API key.
    """
    if header.get("cty") != CONTENT_TYPE:
        raise InvalidAccessTokenError
    found = payload.get("iss")
    key_sid = parse_sid(found, Prefix.API_KEY) if isinstance(found, str) else None
    if key_sid is None:
        raise InvalidIssuerError
    return key_sid


def check_claims(payload: Mapping[str, Any], account_sid: str, now: datetime) -> Claims:
    """Check and return the claims of a token. The account `account_sid` owns the API key that signed the token.

    Raises an error if a claim is missing or wrong, if the token is not valid at `now`, or if its lifetime exceeds
    MAX_TOKEN_LIFETIME. The claims `iat` and `nbf` are optional.
    """
    if payload.get("sub") != account_sid:
        raise InvalidIssuerError
    expires_at, issued_at, not_before = (_moment(payload, name) for name in ("exp", "iat", "nbf"))
    if expires_at is None:
        raise InvalidAccessTokenError
    if not_before and not_before > now + CLOCK_SKEW:
        raise AccessTokenNotYetValidError
    if expires_at <= now:
        raise AccessTokenExpiredError
    # A token without `iat` (the time of issue) counts as issued now. An `iat` after `now + CLOCK_SKEW` counts as
    # `now + CLOCK_SKEW`. Otherwise a token with an `iat` far in the future could be valid for years.
    if expires_at - min(issued_at or now, now + CLOCK_SKEW) > MAX_TOKEN_LIFETIME:
        raise InvalidAccessTokenError
    grants = payload.get("grants")
    if not isinstance(grants, dict):
        raise InvalidGrantsError
    grant = next((grants[name] for name in GRANTS if name in grants), None)
    chat_service_sid = grant.get("service_sid") if isinstance(grant, dict) else None
    identity = grants.get("identity")
    if not isinstance(chat_service_sid, str) or not isinstance(identity, str):
        raise InvalidGrantsError
    try:
        return Claims(check_identity(identity), chat_service_sid, expires_at)
    except ConversationsError as error:
        raise InvalidGrantsError from error


def _moment(payload: Mapping[str, Any], name: str) -> datetime | None:
    """Return the time in the claim `name`, or None if the claim is missing or null.

    Raises InvalidAccessTokenError if the claim is not a time.
    """
    seconds = payload.get(name)
    if seconds is None:
        return None
    if isinstance(seconds, bool) or not isinstance(seconds, int | float):
        raise InvalidAccessTokenError
    try:
        return datetime.fromtimestamp(seconds, UTC)
    except (ValueError, OverflowError, OSError):
        raise InvalidAccessTokenError from None
