"""`/2010-04-01/Accounts/{AC}/Keys`: the API keys of an account. Only the Auth Token gives access to this resource.

See docs/behaviour/accounts-and-api-keys.md#api-keys-over-http.
"""

from __future__ import annotations

from typing import Annotated

from pydantic import AwareDatetime, PlainSerializer, WithJsonSchema

from convoke.api.auth import basic_credentials
from convoke.api.contracts import Contract
from convoke.api.operations import Operations
from convoke.api.pagination import RestPagination
from convoke.api.parameters import FORM_NAMES, parse
from convoke.api.representations import Representation, json_response, no_content
from convoke.api.requests import REST_PREFIX, Request
from convoke.api.responses import Response
from convoke.domain import errors
from convoke.domain.api_keys import ApiKey, NewApiKey
from convoke.domain.errors import AccessDeniedError, NotFoundError
from convoke.domain.instants import to_rfc_2822
from convoke.domain.sids import Prefix, parse_sid


class SaveApiKey(NewApiKey):
    model_config = FORM_NAMES


Rfc2822Date = Annotated[
    AwareDatetime,
    PlainSerializer(to_rfc_2822, when_used="json"),
    WithJsonSchema({"type": "string", "examples": ["Mon, 13 Jun 2016 22:50:08 +0000"]}, mode="serialization"),
]


class ApiKeyRepresentation(Representation):
    sid: str
    friendly_name: str
    date_created: Rfc2822Date
    date_updated: Rfc2822Date


class NewApiKeyRepresentation(ApiKeyRepresentation):
    secret: str


LIST = Contract("ApiKeys", ApiKeyRepresentation, page="keys", rest_page=True, errors=(errors.AccessDeniedError,))
CREATE = Contract(
    "ApiKey", NewApiKeyRepresentation, statuses=(201,), form=SaveApiKey, errors=(errors.FriendlyNameTooLongError,)
)
FETCH = Contract("ApiKey", ApiKeyRepresentation, errors=(errors.AccessDeniedError,))
UPDATE = Contract("ApiKey", ApiKeyRepresentation, form=SaveApiKey, errors=(errors.FriendlyNameTooLongError,))
DELETE = Contract("ApiKey", None, statuses=(204,))


def represent(key: ApiKey) -> ApiKeyRepresentation:
    return ApiKeyRepresentation.model_validate(_fields(key))


def create(operations: Operations, request: Request, account_sid: str) -> Response:
    check_access(request, account_sid)
    parameters = parse(SaveApiKey, request.form)
    key, secret = operations.accounts.api_keys.create(request.account.sid, parameters.friendly_name)
    return json_response(NewApiKeyRepresentation.model_validate({**_fields(key), "secret": secret}), status=201)


def fetch(operations: Operations, request: Request, account_sid: str, sid: str) -> Response:
    check_access(request, account_sid)
    return json_response(represent(operations.accounts.api_keys.fetch(request.account.sid, sid)))


def update(operations: Operations, request: Request, account_sid: str, sid: str) -> Response:
    check_access(request, account_sid)
    parameters = parse(SaveApiKey, request.form)
    return json_response(represent(operations.accounts.api_keys.update(request.account.sid, sid, parameters)))


def delete(operations: Operations, request: Request, account_sid: str, sid: str) -> Response:
    check_access(request, account_sid)
    known = operations.accounts.api_keys.fetch(request.account.sid, sid)
    operations.accounts.api_keys.delete(known.sid)
    return no_content()


def list_(operations: Operations, request: Request, account_sid: str) -> Response:
    check_access(request, account_sid)
    key = operations.accounts.page_key(request.account.sid)
    url = request.url(f"/Accounts/{request.account.sid}/Keys.json", REST_PREFIX)
    pagination = RestPagination(request, url, "keys", key)
    page = operations.accounts.api_keys.page(request.account.sid, pagination.page_request)
    return json_response(pagination.body(page, represent, lambda each: each.sid))


def check_access(request: Request, account_sid: str) -> None:
    """Check that the credentials of a request give access to the API keys of the account in the path.

    Raise AccessDeniedError if the credentials are those of an API key, not an Auth Token. An API key must not create
    other API keys. Otherwise a thief of one key could keep access after the key is revoked.

    Raise NotFoundError if the path contains the SID of another account.
    """
    user, _ = basic_credentials(request.headers)
    if parse_sid(user, Prefix.API_KEY):
        raise AccessDeniedError
    if parse_sid(account_sid, Prefix.ACCOUNT) != request.account.sid:
        raise NotFoundError


def _fields(key: ApiKey) -> dict[str, object]:
    fields = key.model_dump(include={"sid", "friendly_name", "date_created"})
    return {**fields, "date_updated": key.date_updated or key.date_created}
