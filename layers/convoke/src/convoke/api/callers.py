"""Find out who sends a request. See docs/behaviour/requests-and-answers.md#authentication."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, NamedTuple
from urllib.parse import parse_qs

from convoke.api.auth import basic_credentials
from convoke.api.operations import Operations
from convoke.domain.accounts import Account
from convoke.domain.errors import AccessDeniedError
from convoke.domain.sids import SID_DIGITS, Prefix

_CONTENT_PATH = re.compile(f"/v1/Services/{Prefix.SERVICE}{SID_DIGITS}/Media/({Prefix.MEDIA}{SID_DIGITS})/Content")
"""Matches the path of the content of a media. A link to the content has a token instead of credentials."""


class Caller(NamedTuple):
    account: Account
    identity: str | None = None
    """The identity of a chat user. None means that the account itself sends the request."""


def caller_of(operations: Operations, event: Mapping[str, Any]) -> Caller:
    """Return who sends a request. Raise NotAuthenticatedError, or AccessDeniedError if the token of a link is invalid.

    Every request of every route passes through this function.
    """
    query = event.get("rawQueryString", "")
    if "token=" in query and (path := _CONTENT_PATH.fullmatch(event["rawPath"])):
        return Caller(_account_of_link(operations, path[1], parse_qs(query).get("token", [""])[-1]))
    return Caller(operations.accounts.authenticate(*basic_credentials(event.get("headers") or {})))


def _account_of_link(operations: Operations, media_sid: str, token: str) -> Account:
    account_sid = operations.media.account_of_link(media_sid, token)
    account = account_sid and operations.accounts.accounts.fetch(account_sid)
    if not account:
        raise AccessDeniedError
    return account
