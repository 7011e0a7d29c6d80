"""`/v1/Configuration/Addresses`: what Convoke does when a message arrives at an address of the account.

See docs/behaviour/address-configurations.md.
"""

from __future__ import annotations

from typing import Any

from convoke.api.contracts import Contract
from convoke.api.operations import Operations
from convoke.api.pagination import MAX_SMALL_PAGE_SIZE, Pagination
from convoke.api.parameters import FORM_NAMES, parse, parse_query
from convoke.api.representations import Representation, RestDate, json_response, no_content
from convoke.api.requests import Request
from convoke.api.responses import Response
from convoke.domain import errors
from convoke.domain.address_configurations import (
    AddressConfiguration,
    AddressConfigurationChange,
    AddressConfigurationFilters,
    AddressType,
    NewAddressConfiguration,
)


class CreateAddressConfiguration(NewAddressConfiguration):
    model_config = FORM_NAMES


class UpdateAddressConfiguration(AddressConfigurationChange):
    model_config = FORM_NAMES


class ListAddressConfigurations(AddressConfigurationFilters):
    model_config = FORM_NAMES


class AddressConfigurationRepresentation(Representation):
    account_sid: str
    sid: str
    address: str
    type: AddressType
    friendly_name: str | None
    address_country: str | None
    auto_creation: dict[str, Any]
    date_created: RestDate
    date_updated: RestDate
    url: str


LIST = Contract(
    "AddressConfigurations",
    AddressConfigurationRepresentation,
    page="address_configurations",
    max_page_size=MAX_SMALL_PAGE_SIZE,
    query=ListAddressConfigurations,
)
CREATE = Contract(
    "AddressConfiguration",
    AddressConfigurationRepresentation,
    statuses=(201,),
    form=CreateAddressConfiguration,
    errors=(errors.ConflictError,),
)
FETCH = Contract("AddressConfiguration", AddressConfigurationRepresentation)
UPDATE = Contract("AddressConfiguration", AddressConfigurationRepresentation, form=UpdateAddressConfiguration)
DELETE = Contract("AddressConfiguration", None, statuses=(204,))


def represent(request: Request, configuration: AddressConfiguration) -> AddressConfigurationRepresentation:
    return AddressConfigurationRepresentation(
        account_sid=configuration.account_sid,
        sid=configuration.sid,
        address=configuration.address,
        type=configuration.type,
        friendly_name=configuration.friendly_name,
        address_country=configuration.address_country,
        auto_creation=configuration.auto_creation,
        date_created=configuration.date_created,
        date_updated=configuration.date_updated,
        url=request.url(f"/Configuration/Addresses/{configuration.sid}"),
    )


def create(operations: Operations, request: Request) -> Response:
    parameters = parse(CreateAddressConfiguration, request.form)
    created = operations.address_configurations.create(request.account, parameters)
    return json_response(represent(request, created), status=201)


def fetch(operations: Operations, request: Request, sid: str) -> Response:
    return json_response(represent(request, operations.address_configurations.fetch(request.account.sid, sid)))


def list_(operations: Operations, request: Request) -> Response:
    filters, sent = parse_query(ListAddressConfigurations, request.query_form)
    pagination = Pagination(
        request,
        request.url("/Configuration/Addresses"),
        "address_configurations",
        operations.accounts.page_key(request.account.sid),
        max_page_size=MAX_SMALL_PAGE_SIZE,
        filters=sent,
    )
    page = operations.address_configurations.list(request.account.sid, filters, pagination.page_request)
    return json_response(pagination.body(page, lambda each: represent(request, each), lambda each: each.sid))


def update(operations: Operations, request: Request, sid: str) -> Response:
    change = parse(UpdateAddressConfiguration, request.form)
    updated = operations.address_configurations.update(request.account.sid, sid, change)
    return json_response(represent(request, updated))


def delete(operations: Operations, request: Request, sid: str) -> Response:
    operations.address_configurations.delete(request.account.sid, sid)
    return no_content()
