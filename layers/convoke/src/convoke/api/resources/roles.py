"""`/Roles`: the roles of a service.

See docs/behaviour/roles.md.
"""

from __future__ import annotations

from convoke.api.contracts import Contract
from convoke.api.operations import Operations
from convoke.api.pagination import MAX_SMALL_PAGE_SIZE, Pagination
from convoke.api.parameters import FORM_NAMES, parse
from convoke.api.representations import Representation, RestDate, json_response, no_content
from convoke.api.requests import ServiceRequest
from convoke.api.responses import Response
from convoke.domain import errors
from convoke.domain.roles import NewRole, Permission, Role, RoleChange, RoleType


class CreateRole(NewRole):
    model_config = FORM_NAMES


class UpdateRole(RoleChange):
    model_config = FORM_NAMES


class RoleRepresentation(Representation):
    sid: str
    account_sid: str
    chat_service_sid: str
    friendly_name: str
    type: RoleType
    permissions: tuple[Permission, ...]
    date_created: RestDate
    date_updated: RestDate
    url: str


CREATE = Contract("Role", RoleRepresentation, statuses=(201,), form=CreateRole)
LIST = Contract("Roles", RoleRepresentation, page="roles", max_page_size=MAX_SMALL_PAGE_SIZE)
FETCH = Contract("Role", RoleRepresentation)
UPDATE = Contract("Role", RoleRepresentation, form=UpdateRole, errors=(errors.ConflictError,))
DELETE = Contract("Role", None, statuses=(204,), errors=(errors.ConflictError, errors.UnavailableError))


def represent(request: ServiceRequest, role: Role) -> RoleRepresentation:
    return RoleRepresentation(**role.model_dump(), url=request.url(f"/Roles/{role.sid}"))


def create(operations: Operations, request: ServiceRequest) -> Response:
    created = operations.roles.create(request.service, parse(CreateRole, request.form))
    return json_response(represent(request, created), status=201)


def fetch(operations: Operations, request: ServiceRequest, sid: str) -> Response:
    return json_response(represent(request, operations.roles.fetch(request.service, sid)))


def update(operations: Operations, request: ServiceRequest, sid: str) -> Response:
    updated = operations.roles.update(request.service, sid, parse(UpdateRole, request.form))
    return json_response(represent(request, updated))


def delete(operations: Operations, request: ServiceRequest, sid: str) -> Response:
    operations.roles.delete(request.service, sid)
    return no_content()


def list_(operations: Operations, request: ServiceRequest) -> Response:
    key = operations.accounts.page_key(request.account.sid)
    pagination = Pagination(request, request.url("/Roles"), "roles", key, max_page_size=MAX_SMALL_PAGE_SIZE)
    page = operations.roles.list(request.service, pagination.page_request)
    return json_response(pagination.body(page, lambda each: represent(request, each), lambda each: each.sid))
