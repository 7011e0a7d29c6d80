"""Keep the last requests to this process in memory. The console shows these requests."""

from __future__ import annotations

import json
from collections import deque
from collections.abc import Callable, Iterator
from datetime import datetime
from http import HTTPStatus
from itertools import count
from typing import NamedTuple

from convoke.api.auth import basic_credentials
from convoke.api.errors import JSON
from convoke.api.form import decode_body
from convoke.api.origins import SAFE_METHODS
from convoke.api.responses import FileResponse, Response
from convoke.domain.errors import ConversationsError
from convoke.domain.instants import Clock
from convoke.domain.sids import Prefix, is_sid
from convoke.embedded.observation import FinishedChatCall, FinishedDelivery, FinishedRequest

PATH = "/Requests"
"""The path of the resource that lists the requests. request_log_api.py has the handler."""

MAX_LOGGED_REQUESTS = 1000

MAX_LOGGED_FORM_BYTES = 4096


class LoggedRequest(NamedTuple):
    number: int
    """The requests in the log have consecutive numbers. The first number is 1."""
    user: str
    """The Account SID, or the SID of an API key. The log does not store the password."""
    method: str
    path: str
    query: str
    form: str
    """The first `MAX_LOGGED_FORM_BYTES` bytes of the body."""
    status: int
    code: int | None
    """The error code in the response. None if the response is not an error."""
    milliseconds: float
    date_created: datetime


class RequestLog:
    """Keeps the last requests that have credentials and were not refused with status 401.

    The log omits requests to public routes and web pages, because their credentials are not checked. Otherwise a
    stranger could write into the log of an account.

    The log omits the read requests (SAFE_METHODS) of pages of this server, because the console sends such requests all
    the time.
    """

    def __init__(self, now: Clock, is_public: Callable[[str], bool]) -> None:
        """`is_public` returns whether the path of a request belongs to a route without authentication."""
        self._now = now
        self._is_public = is_public
        self._numbers = count(1)
        self._requests: deque[LoggedRequest] = deque(maxlen=MAX_LOGGED_REQUESTS)

    def request_finished(self, request: FinishedRequest) -> None:
        event, response = request.event, request.response
        headers, http = event["headers"], event["requestContext"]["http"]
        if http["method"] in SAFE_METHODS and headers.get("sec-fetch-site") == "same-origin":
            return
        try:
            user, _ = basic_credentials(headers)
            form = decode_body(event)[:MAX_LOGGED_FORM_BYTES].decode(errors="replace")
        except ConversationsError:
            return
        if response.status_code == HTTPStatus.UNAUTHORIZED or _is_page(response) or self._is_public(event["rawPath"]):
            return
        is_error = response.status_code >= HTTPStatus.BAD_REQUEST
        self._requests.append(
            LoggedRequest(
                number=next(self._numbers),
                user=user[:2] + user[2:].lower(),
                method=http["method"],
                path=event["rawPath"],
                query=event["rawQueryString"],
                form=form,
                status=response.status_code,
                code=json.loads(response.body)["code"] if is_error else None,
                milliseconds=round(request.seconds * 1000, 1),
                date_created=self._now(),
            )
        )

    def delivery_finished(self, delivery: FinishedDelivery) -> None:
        """Do nothing, because the ledger stores the delivery attempts."""

    def chat_call_finished(self, call: FinishedChatCall) -> None:
        """Do nothing, because the log contains only requests with the credentials of an account."""

    def of_account(
        self, account_sid: str, after: int, owner_of: Callable[[str], str | None]
    ) -> Iterator[LoggedRequest]:
        """Yield the requests of an account, newest first. Omit requests whose number is at most `after`.

        `owner_of` returns the SID of the account to which an API key belongs.
        """
        owners = {account_sid: account_sid}
        for each in reversed(self._requests):
            if each.number <= after:
                return
            user = each.user
            if user not in owners and is_sid(user, Prefix.API_KEY):
                owners[user] = owner_of(user) or ""
            if owners.get(user) == account_sid:
                yield each


def _is_page(response: Response) -> bool:
    """Return whether the response is a page or a file of the console or of `/docs`."""
    is_api = response.content_type in (None, JSON) or isinstance(response, FileResponse)
    return not is_api
