"""Authenticate the sender of a request. See docs/behaviour/requests-and-answers.md#authentication."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, NamedTuple
from urllib.parse import parse_qs

from convoke.api.auth import basic_credentials
from convoke.api.operations import Operations
from convoke.domain.accounts import Account
from convoke.domain.errors import AccessDeniedError, NotFoundError
from convoke.domain.sids import SID_DIGITS, Prefix, parse_sid

CHAT_USER_HEADER = "X-Twilio-Token"
"""The name of the header with the access token of a chat client. Only the paths of media accept this header."""

_MEDIA_PATH = re.compile("/v1/Services/([^/]+)/(MediaSet|Media(/[^/]+(/Content)?)?)")

_CONTENT_PATH = re.compile(f"/v1/Services/{Prefix.SERVICE}{SID_DIGITS}/Media/({Prefix.MEDIA}{SID_DIGITS})/Content")
"""Matches the download path of a media. A download link contains a token, so that no credentials are needed."""


class Caller(NamedTuple):
    account: Account
    identity: str | None = None
    """The identity of a chat user. None means that the account itself sends the request."""


def caller_of(operations: Operations, event: Mapping[str, Any]) -> Caller:
    """Return the account or the chat user that sends a request. Every route with authentication uses this function.

    Raise NotAuthenticatedError if the credentials of an account are missing or invalid.

    Raise AccessDeniedError if the token in a download link is invalid.

    Raise another error with the status 401 if the access token of a chat client is invalid.
    """
    query, headers = event.get("rawQueryString", ""), event.get("headers") or {}
    if "token=" in query and (path := _CONTENT_PATH.fullmatch(event["rawPath"])):
        return Caller(_account_of_link(operations, path[1], parse_qs(query).get("token", [""])[-1]))
    token = headers.get(CHAT_USER_HEADER.lower())
    if token is not None and (path := _MEDIA_PATH.fullmatch(event["rawPath"])):
        return _chat_user(operations, token, path[1])
    return Caller(operations.accounts.authenticate(*basic_credentials(headers)))


def accepts_chat_users(path: str) -> bool:
    """Return whether a chat user may send requests to a path. `path` can also be the rule of a route."""
    return _MEDIA_PATH.fullmatch(path) is not None


def _chat_user(operations: Operations, token: str, chat_service_sid: str) -> Caller:
    """Return the chat user with an access token. Raise NotFoundError if the token belongs to another service."""
    session = operations.authenticate_chat_user(token)
    if parse_sid(chat_service_sid, Prefix.SERVICE) != session.service.sid:
        raise NotFoundError
    return Caller(session.account, session.identity)


def _account_of_link(operations: Operations, media_sid: str, token: str) -> Account:
    account_sid = operations.media.account_of_link(media_sid, token)
    account = account_sid and operations.accounts.accounts.fetch(account_sid)
    if not account:
        raise AccessDeniedError
    return account
