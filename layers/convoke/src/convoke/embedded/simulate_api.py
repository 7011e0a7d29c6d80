"""The resources of simulated phones, below `/convoke/v1/Simulate`.

A client can send a message as a phone, and list the messages that a phone has received. A client can also report the
delivery of a copy, and plan that copies fail.

The engine on AWS never has these resources. See docs/behaviour/inbound-messages.md#simulated-phones.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import TYPE_CHECKING, Annotated
from urllib.parse import quote

from pydantic import ConfigDict, Field

from convoke.api.contracts import Contract
from convoke.api.operations import Operations
from convoke.api.pagination import Pagination
from convoke.api.parameters import FORM_NAMES, parse
from convoke.api.representations import Representation, StreamDate, json_response
from convoke.api.requests import CONVOKE_PREFIX, Request
from convoke.api.responses import Response
from convoke.api.routes import Endpoint
from convoke.domain import errors
from convoke.domain.inbound_messages import Outcome
from convoke.domain.phones import PhoneMessage
from convoke.domain.receipts import ShownStatus
from convoke.domain.simulated_messages import NewSimulatedMessage
from convoke.domain.simulated_reports import NewDeliveryStatus, PhonePlan
from convoke.embedded.simulate_routes import INBOX, PHONE, SEND, STATUS
from convoke.embedded.simulated_carrier import PhonePlans
from convoke.operations.simulator import SimulatorOperations

if TYPE_CHECKING:
    from convoke.api.routes import AccountHandler


class CreateDeliveryStatus(NewDeliveryStatus):
    model_config = FORM_NAMES


class UpdatePhone(PhonePlan):
    model_config = FORM_NAMES


class DeliveryStatusRepresentation(Representation):
    account_sid: str
    conversation_sid: str
    message_sid: str
    sid: str
    status: ShownStatus | None
    error_code: int


class PhoneRepresentation(Representation):
    account_sid: str
    number: str
    fail_next: int
    reports_delivery: bool


class CreateSimulatedMessage(NewSimulatedMessage):
    model_config = FORM_NAMES


class SimulatedMessageRepresentation(Representation):
    account_sid: str
    outcome: Outcome
    conversation_sid: str | None
    message_sid: str | None


class PhoneMessageRepresentation(Representation):
    model_config = ConfigDict(serialize_by_alias=True)

    sid: str
    from_: Annotated[str, Field(serialization_alias="from")]
    to: str
    body: str
    media_urls: list[str]
    conversation_sid: str | None
    message_sid: str | None
    date_created: StreamDate


LIST = Contract("PhoneMessages", PhoneMessageRepresentation, page="messages")

CREATE = Contract(
    "SimulatedMessage",
    SimulatedMessageRepresentation,
    statuses=(201,),
    form=CreateSimulatedMessage,
    errors=(
        errors.AddressEqualsProxyError,
        errors.ChannelMismatchError,
        errors.DuplicateGroupMemberError,
        errors.GroupTooLargeError,
        errors.MessageEmptyError,
        errors.MessagingServiceMissingError,
        errors.ProxyAddressNotOwnedError,
        errors.UnavailableError,
    ),
)


REPORT = Contract(
    "DeliveryStatus",
    DeliveryStatusRepresentation,
    form=CreateDeliveryStatus,
    errors=(errors.InvalidParameterError, errors.NotFoundError),
)

PLAN = Contract("Phone", PhoneRepresentation, form=UpdatePhone)


def simulate_endpoints(
    simulator: Callable[[], SimulatorOperations], plans: PhonePlans
) -> Mapping[str, Endpoint[AccountHandler]]:
    """Return the handlers of the routes in simulate_routes.py. The key is the rule of the route."""

    def create(_: Operations, request: Request) -> Response:
        received = simulator().send(request.account, parse(CreateSimulatedMessage, request.form))
        representation = SimulatedMessageRepresentation(account_sid=request.account.sid, **received.model_dump())
        return json_response(representation, status=201)

    def list_(operations: Operations, request: Request, number: str) -> Response:
        url = request.url(INBOX.replace("<number>", quote(number, safe="")), CONVOKE_PREFIX)
        pagination = Pagination(request, url, "messages", operations.accounts.page_key(request.account.sid))
        page = simulator().list_inbox(request.account.sid, number, pagination.page_request)
        represent = partial(represent_message, request.base_url)
        return json_response(pagination.body(page, represent, lambda message: message.sid))

    def report(_: Operations, request: Request) -> Response:
        receipt = simulator().report(request.account, parse(CreateDeliveryStatus, request.form))
        shown = receipt.model_dump() | {"status": receipt.shown_status}
        return json_response(DeliveryStatusRepresentation(**shown))

    def plan(_: Operations, request: Request, number: str) -> Response:
        planned = parse(UpdatePhone, request.form)
        plans.plan(request.account.sid, number, failures=planned.fail_next, reports_delivery=planned.reports_delivery)
        account_sid = request.account.sid
        return json_response(PhoneRepresentation(account_sid=account_sid, number=number, **planned.model_dump()))

    return {
        STATUS: Endpoint(report, REPORT),
        PHONE: Endpoint(plan, PLAN),
        SEND: Endpoint(create, CREATE),
        INBOX: Endpoint(list_, LIST),
    }


def represent_message(base_url: str, message: PhoneMessage) -> PhoneMessageRepresentation:
    urls = [f"{base_url}{url}" if url.startswith("/") else url for url in message.media_urls]
    return PhoneMessageRepresentation(**message.model_dump() | {"media_urls": urls})
