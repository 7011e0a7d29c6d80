"""`/v1/Services/{sid}/Bindings`: the devices that are registered for push notifications.

See docs/behaviour/bindings.md.
"""

from __future__ import annotations

from convoke.api.contracts import Contract
from convoke.api.operations import Operations
from convoke.api.pagination import Pagination
from convoke.api.parameters import FORM_NAMES, parse_query
from convoke.api.representations import Representation, RestDate, json_response, no_content
from convoke.api.requests import Request
from convoke.api.responses import Response
from convoke.domain.bindings import Binding, BindingFilters, BindingType


class ListBindings(BindingFilters):
    model_config = FORM_NAMES


class BindingRepresentation(Representation):
    sid: str
    account_sid: str
    chat_service_sid: str
    date_created: RestDate
    date_updated: RestDate
    endpoint: str
    identity: str
    binding_type: BindingType
    credential_sid: str | None
    message_types: tuple[str, ...]
    url: str


LIST = Contract("Bindings", BindingRepresentation, page="bindings", query=ListBindings)
FETCH = Contract("Binding", BindingRepresentation)
DELETE = Contract("Binding", None, statuses=(204,))


def represent(request: Request, binding: Binding) -> BindingRepresentation:
    return BindingRepresentation(
        sid=binding.sid,
        account_sid=binding.account_sid,
        chat_service_sid=binding.chat_service_sid,
        date_created=binding.date_created,
        date_updated=binding.date_updated,
        endpoint=binding.endpoint,
        identity=binding.identity,
        binding_type=binding.binding_type,
        credential_sid=binding.credential_sid,
        message_types=binding.message_types,
        url=request.url(f"/Services/{binding.chat_service_sid}/Bindings/{binding.sid}"),
    )


def list_(operations: Operations, request: Request, chat_service_sid: str) -> Response:
    service = operations.services.fetch(request.account.sid, chat_service_sid)
    filters, sent = parse_query(ListBindings, request.query_form)
    key = operations.accounts.page_key(request.account.sid)
    pagination = Pagination(request, request.url(f"/Services/{service.sid}/Bindings"), "bindings", key, filters=sent)
    page = operations.bindings.list(service, filters, pagination.page_request)
    return json_response(pagination.body(page, lambda each: represent(request, each), lambda each: each.sid))


def fetch(operations: Operations, request: Request, chat_service_sid: str, sid: str) -> Response:
    service = operations.services.fetch(request.account.sid, chat_service_sid)
    return json_response(represent(request, operations.bindings.fetch(service, sid)))


def delete(operations: Operations, request: Request, chat_service_sid: str, sid: str) -> Response:
    service = operations.services.fetch(request.account.sid, chat_service_sid)
    operations.bindings.delete(service, sid)
    return no_content()
