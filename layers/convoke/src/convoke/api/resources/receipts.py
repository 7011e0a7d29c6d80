"""`/Conversations/{sid}/Messages/{sid}/Receipts`: the delivery receipts of a message.

See docs/behaviour/receipts.md.
"""

from __future__ import annotations

from urllib.parse import quote

from convoke.api.contracts import Contract
from convoke.api.operations import Operations
from convoke.api.pagination import MAX_SMALL_PAGE_SIZE, Pagination
from convoke.api.representations import Representation, RestDate, add_service_sid, json_response
from convoke.api.requests import ServiceRequest
from convoke.api.responses import Response
from convoke.domain.receipts import Receipt, ShownStatus


class ReceiptRepresentation(Representation):
    account_sid: str
    conversation_sid: str
    sid: str
    message_sid: str
    channel_message_sid: str
    participant_sid: str
    status: ShownStatus | None
    error_code: int
    date_created: RestDate
    date_updated: RestDate | None
    url: str


class ServiceReceiptRepresentation(ReceiptRepresentation):
    """The representation under `/Services/{sid}`, which also contains the service SID."""

    chat_service_sid: str


LIST = Contract(
    "Receipts",
    ReceiptRepresentation,
    service_representation=ServiceReceiptRepresentation,
    page="delivery_receipts",
    max_page_size=MAX_SMALL_PAGE_SIZE,
)
FETCH = Contract("Receipt", ReceiptRepresentation, service_representation=ServiceReceiptRepresentation)


def represent(request: ServiceRequest, receipt: Receipt) -> Representation:
    path = f"/Conversations/{receipt.conversation_sid}/Messages/{receipt.message_sid}/Receipts/{receipt.sid}"
    common = ReceiptRepresentation(**receipt.model_dump() | {"status": receipt.shown_status}, url=request.url(path))
    return add_service_sid(request, common, ServiceReceiptRepresentation)


def fetch(
    operations: Operations, request: ServiceRequest, conversation_sid: str, message_sid: str, sid: str
) -> Response:
    return json_response(
        represent(request, operations.receipts.fetch(request.service, conversation_sid, message_sid, sid))
    )


def list_(operations: Operations, request: ServiceRequest, conversation_sid: str, message_sid: str) -> Response:
    # Encode the path values for the URLs in `meta`, because a unique name can contain spaces, for example.
    conversation, message = quote(conversation_sid, safe=""), quote(message_sid, safe="")
    pagination = Pagination(
        request,
        request.url(f"/Conversations/{conversation}/Messages/{message}/Receipts"),
        "delivery_receipts",
        operations.accounts.page_key(request.account.sid),
        max_page_size=MAX_SMALL_PAGE_SIZE,
    )
    page = operations.receipts.list(request.service, conversation_sid, message_sid, pagination.page_request)
    return json_response(pagination.body(page, lambda each: represent(request, each), lambda each: each.sid))
