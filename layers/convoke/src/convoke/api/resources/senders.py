"""`/convoke/v1/Senders`: the business addresses of the account, and the carriers that deliver their messages.

See docs/behaviour/senders.md.
"""

from __future__ import annotations

from convoke.api.contracts import Contract
from convoke.api.operations import Operations
from convoke.api.pagination import MAX_SMALL_PAGE_SIZE, Pagination
from convoke.api.parameters import FORM_NAMES, parse
from convoke.api.representations import Representation, RestDate, json_response, no_content
from convoke.api.requests import CONVOKE_PREFIX, Request
from convoke.api.responses import Response
from convoke.domain import errors
from convoke.domain.senders import NewSender, Provider, Sender, SenderChange


class CreateSender(NewSender):
    model_config = FORM_NAMES


class UpdateSender(SenderChange):
    model_config = FORM_NAMES


class SenderRepresentation(Representation):
    account_sid: str
    sid: str
    address: str
    provider: Provider
    friendly_name: str | None
    origination_identity: str | None
    configuration_set: str | None
    max_messages_per_second: int | None
    date_created: RestDate
    date_updated: RestDate
    url: str


LIST = Contract("Senders", SenderRepresentation, page="senders", max_page_size=MAX_SMALL_PAGE_SIZE)
CREATE = Contract("Sender", SenderRepresentation, statuses=(201,), form=CreateSender, errors=(errors.ConflictError,))
FETCH = Contract("Sender", SenderRepresentation)
UPDATE = Contract("Sender", SenderRepresentation, form=UpdateSender)
DELETE = Contract("Sender", None, statuses=(204,))


def represent(request: Request, sender: Sender) -> SenderRepresentation:
    return SenderRepresentation(
        account_sid=sender.account_sid,
        sid=sender.sid,
        address=sender.address,
        provider=sender.provider,
        friendly_name=sender.friendly_name,
        origination_identity=sender.origination_identity,
        configuration_set=sender.configuration_set,
        max_messages_per_second=sender.max_messages_per_second,
        date_created=sender.date_created,
        date_updated=sender.date_updated,
        url=request.url(f"/Senders/{sender.sid}", CONVOKE_PREFIX),
    )


def create(operations: Operations, request: Request) -> Response:
    created = operations.senders.create(request.account, parse(CreateSender, request.form))
    return json_response(represent(request, created), status=201)


def fetch(operations: Operations, request: Request, sid: str) -> Response:
    return json_response(represent(request, operations.senders.fetch(request.account.sid, sid)))


def list_(operations: Operations, request: Request) -> Response:
    pagination = Pagination(
        request,
        request.url("/Senders", CONVOKE_PREFIX),
        "senders",
        operations.accounts.page_key(request.account.sid),
        max_page_size=MAX_SMALL_PAGE_SIZE,
    )
    page = operations.senders.list(request.account.sid, pagination.page_request)
    return json_response(pagination.body(page, lambda each: represent(request, each), lambda each: each.sid))


def update(operations: Operations, request: Request, sid: str) -> Response:
    updated = operations.senders.update(request.account.sid, sid, parse(UpdateSender, request.form))
    return json_response(represent(request, updated))


def delete(operations: Operations, request: Request, sid: str) -> Response:
    operations.senders.delete(request.account.sid, sid)
    return no_content()
