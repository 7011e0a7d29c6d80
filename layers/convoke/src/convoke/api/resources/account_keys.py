"""`/convoke/v1/Keys`: the API keys of the account, without their secrets.

A client may fetch this list with an API key. For `/2010-04-01/Accounts/{AC}/Keys`, a client needs the Auth Token. See
docs/behaviour/accounts-and-api-keys.md.
"""

from __future__ import annotations

from convoke.api.contracts import Contract
from convoke.api.operations import Operations
from convoke.api.pagination import Pagination
from convoke.api.representations import Representation, StreamDate, json_response
from convoke.api.requests import CONVOKE_PREFIX, Request
from convoke.api.responses import Response
from convoke.domain.api_keys import ApiKey


class AccountKeyRepresentation(Representation):
    sid: str
    account_sid: str
    friendly_name: str
    date_created: StreamDate
    date_expires: StreamDate | None


LIST = Contract("AccountKeys", AccountKeyRepresentation, page="keys")


def represent(key: ApiKey) -> AccountKeyRepresentation:
    return AccountKeyRepresentation(**key.model_dump(exclude={"date_updated"}))


def list_(operations: Operations, request: Request) -> Response:
    page_key = operations.accounts.page_key(request.account.sid)
    pagination = Pagination(request, request.url("/Keys", CONVOKE_PREFIX), "keys", page_key)
    page = operations.accounts.api_keys.page(request.account.sid, pagination.page_request)
    return json_response(pagination.body(page, represent, lambda each: each.sid))
