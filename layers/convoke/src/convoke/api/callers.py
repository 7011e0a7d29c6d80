"""Find out who sends a request: an account or a chat user.

See docs/behaviour/requests-and-answers.md#authentication.
"""

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
"""The header that contains the access token of a chat client. Convoke reads this header only in requests for media."""

_MEDIA_PATH = re.compile("/v1/Services/([^/]+)/(MediaSet|Media(/[^/]+(/Content)?)?)")

_CONTENT_PATH = re.compile(f"/v1/Services/{Prefix.SERVICE}{SID_DIGITS}/Media/({Prefix.MEDIA}{SID_DIGITS})/Content")
"""Matches the path of a download link. The link contains a token, so the client sends no credentials."""


class Caller(NamedTuple):
    account: Account
    identity: str | None = None
    """The identity of the chat user who sends the request. None if no chat user sends it."""


def caller_of(operations: Operations, event: Mapping[str, Any]) -> Caller:
    """Return the account or the chat user that sends a request. For a download link, return the account in its token.

    Errors for each kind of credentials:

    - Account SID or API key: NotAuthenticatedError if the credentials are missing or invalid.
    - Token in a download link: AccessDeniedError if the token is invalid. NotAuthenticatedError if the account in the
      token does not exist.
    - Access token of a chat client: an error with status 401 if the token is invalid or the User does not exist.
      NotFoundError if the token is for another service than the service in the path.
    """
    query, headers = event.get("rawQueryString", ""), event.get("headers") or {}
    if "token=" in query and (path := _CONTENT_PATH.fullmatch(event["rawPath"])):
        return Caller(_account_of_link(operations, path[1], parse_qs(query).get("token", [""])[-1]))
    token = headers.get(CHAT_USER_HEADER.lower())
    if token is not None and (path := _MEDIA_PATH.fullmatch(event["rawPath"])):
        return _chat_user(operations, token, path[1])
    return Caller(operations.accounts.authenticate(*basic_credentials(headers)))


def accepts_chat_users(path: str) -> bool:
    """Return whether chat users may send requests to a path. `path` may also be the rule of a route."""
    return _MEDIA_PATH.fullmatch(path) is not None


def _chat_user(operations: Operations, token: str, chat_service_sid: str) -> Caller:
    """Return the chat user that an access token identifies.

    Raise an error with status 401 if the access token is invalid or the User does not exist. Raise NotFoundError if the
    access token is for another service than the service in the path.
    """
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
