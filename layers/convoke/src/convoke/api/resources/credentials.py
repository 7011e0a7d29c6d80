"""`/v1/Credentials`: the push credentials of the account.

See docs/behaviour/credentials.md.
"""

from __future__ import annotations

from typing import Literal

from convoke.api.contracts import Contract
from convoke.api.operations import Operations
from convoke.api.pagination import Pagination
from convoke.api.parameters import FORM_NAMES, parse
from convoke.api.representations import Representation, RestDate, json_response, no_content
from convoke.api.requests import Request
from convoke.api.responses import Response
from convoke.domain import errors
from convoke.domain.credentials import Credential, CredentialChange, NewCredential, PushType


class CreateCredential(NewCredential):
    model_config = FORM_NAMES


class UpdateCredential(CredentialChange):
    model_config = FORM_NAMES


class CredentialRepresentation(Representation):
    sid: str
    account_sid: str
    friendly_name: str | None
    type: PushType
    sandbox: Literal["True", "False"]
    date_created: RestDate
    date_updated: RestDate
    url: str


LIST = Contract("Credentials", CredentialRepresentation, page="credentials")
CREATE = Contract(
    "Credential",
    CredentialRepresentation,
    statuses=(201,),
    form=CreateCredential,
    errors=(errors.FriendlyNameTooLongError,),
)
FETCH = Contract("Credential", CredentialRepresentation)
UPDATE = Contract(
    "Credential", CredentialRepresentation, form=UpdateCredential, errors=(errors.FriendlyNameTooLongError,)
)
DELETE = Contract("Credential", None, statuses=(204,))


def represent(request: Request, credential: Credential) -> CredentialRepresentation:
    return CredentialRepresentation(
        sid=credential.sid,
        account_sid=credential.account_sid,
        friendly_name=credential.friendly_name,
        type=credential.type,
        sandbox="True" if credential.sandbox else "False",
        date_created=credential.date_created,
        date_updated=credential.date_updated,
        url=request.url(f"/Credentials/{credential.sid}"),
    )


def create(operations: Operations, request: Request) -> Response:
    created = operations.credentials.create(request.account.sid, parse(CreateCredential, request.form))
    return json_response(represent(request, created), status=201)


def fetch(operations: Operations, request: Request, sid: str) -> Response:
    return json_response(represent(request, operations.credentials.fetch(request.account.sid, sid)))


def list_(operations: Operations, request: Request) -> Response:
    key = operations.accounts.page_key(request.account.sid)
    pagination = Pagination(request, request.url("/Credentials"), "credentials", key)
    page = operations.credentials.list(request.account.sid, pagination.page_request)
    return json_response(pagination.body(page, lambda each: represent(request, each), lambda each: each.sid))


def update(operations: Operations, request: Request, sid: str) -> Response:
    change = parse(UpdateCredential, request.form)
    return json_response(represent(request, operations.credentials.update(request.account.sid, sid, change)))


def delete(operations: Operations, request: Request, sid: str) -> Response:
    operations.credentials.delete(request.account.sid, sid)
    return no_content()
