"""The resources of simulated phones, under `/convoke/v1/Simulate`.

A client can send a message as a phone, and list the phones and their messages. A copy is a message of a conversation
that Convoke sends to a phone. A client can report whether a copy was delivered, and plan that copies fail. The engine
on AWS never has these resources. See docs/behaviour/inbound-messages.md#simulated-phones.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial, wraps
from typing import TYPE_CHECKING, Annotated
from urllib.parse import quote

from pydantic import ConfigDict, Field

from convoke.api.contracts import Contract
from convoke.api.operations import Operations
from convoke.api.pagination import MAX_SMALL_PAGE_SIZE, Pagination
from convoke.api.parameters import FORM_NAMES, parse
from convoke.api.representations import Representation, StreamDate, json_response
from convoke.api.requests import CONVOKE_PREFIX, Request
from convoke.api.responses import Response
from convoke.api.routes import Endpoint
from convoke.domain import errors
from convoke.domain.addresses import channel_of
from convoke.domain.errors import InvalidParameterError
from convoke.domain.inbound_messages import Outcome
from convoke.domain.phones import PhoneMessage, SimulatedPhone
from convoke.domain.receipts import ShownStatus
from convoke.domain.simulated_messages import NewSimulatedMessage
from convoke.domain.simulated_reports import NewDeliveryStatus, PhonePlan
from convoke.embedded.simulate_routes import INBOX, PHONE, PHONES, SEND, STATUS, THREAD, Rule
from convoke.embedded.simulated_carrier import PhonePlans
from convoke.operations.simulator import SimulatorOperations
from convoke.storage.phones import StoredPhoneMessage

if TYPE_CHECKING:
    from convoke.api.routes import AccountHandler

PhoneHandler = Callable[[Operations, Request, str], Response]


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
    opted_out: list[str]


class ListedPhoneRepresentation(Representation):
    account_sid: str
    number: str
    date_updated: StreamDate


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


class ThreadMessageRepresentation(PhoneMessageRepresentation):
    numbers: list[str]
    outcome: Outcome | None
    status: ShownStatus | None
    error_code: int
    chat_service_sid: str | None


LIST = Contract("PhoneMessages", PhoneMessageRepresentation, page="messages", errors=(InvalidParameterError,))

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

LIST_PHONES = Contract("Phones", ListedPhoneRepresentation, page="phones")

LIST_THREAD = Contract(
    "PhoneThread",
    ThreadMessageRepresentation,
    page="messages",
    max_page_size=MAX_SMALL_PAGE_SIZE,
    errors=(InvalidParameterError,),
)

FETCH = Contract("Phone", PhoneRepresentation, errors=(InvalidParameterError,))

PLAN = Contract("Phone", PhoneRepresentation, form=UpdatePhone, errors=(InvalidParameterError,))


def simulate_endpoints(
    simulator: Callable[[], SimulatorOperations], plans: PhonePlans
) -> Mapping[Rule, Endpoint[AccountHandler]]:
    """Return the endpoints of the routes in simulate_routes.py. Each key is the method and the path of a route."""

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
        return fetch(_, request, number)

    def fetch(_: Operations, request: Request, number: str) -> Response:
        account_sid = request.account.sid
        fail_next, reports_delivery = plans.planned(account_sid, number)
        return json_response(
            PhoneRepresentation(
                account_sid=account_sid,
                number=number,
                fail_next=fail_next,
                reports_delivery=reports_delivery,
                opted_out=simulator().opted_out(account_sid, number),
            )
        )

    def list_phones(operations: Operations, request: Request) -> Response:
        account_sid = request.account.sid
        url = request.url(PHONES, CONVOKE_PREFIX)
        pagination = Pagination(request, url, "phones", operations.accounts.page_key(account_sid))
        page = simulator().list_phones(account_sid, pagination.page_request)

        def represent(phone: SimulatedPhone) -> ListedPhoneRepresentation:
            return ListedPhoneRepresentation(**phone.model_dump())

        return json_response(pagination.body(page, represent, lambda phone: phone.number))

    def list_thread(operations: Operations, request: Request, number: str) -> Response:
        pagination = Pagination(
            request,
            request.url(THREAD.replace("<number>", quote(number, safe="")), CONVOKE_PREFIX),
            "messages",
            operations.accounts.page_key(request.account.sid),
            max_page_size=MAX_SMALL_PAGE_SIZE,
            descending=True,
        )
        page = simulator().list_thread(request.account.sid, number, pagination.page_request)
        represent = partial(represent_in_thread, request.base_url)
        return json_response(pagination.body(page, represent, lambda stored: stored.message.sid))

    return {
        ("POST", STATUS): Endpoint(report, REPORT),
        ("POST", PHONE): Endpoint(of_phone(plan), PLAN),
        ("POST", SEND): Endpoint(create, CREATE),
        ("GET", INBOX): Endpoint(of_phone(list_), LIST),
        ("GET", PHONES): Endpoint(list_phones, LIST_PHONES),
        ("GET", PHONE): Endpoint(of_phone(fetch), FETCH),
        ("GET", THREAD): Endpoint(of_phone(list_thread), LIST_THREAD),
    }


def of_phone(handler: PhoneHandler) -> PhoneHandler:
    """Return a handler that first checks the number of the phone in the path."""

    @wraps(handler)  # The OpenAPI document names an operation by its handler.
    def checked(operations: Operations, request: Request, number: str) -> Response:
        if channel_of(number) is None:
            raise InvalidParameterError(parameter="number", wanted="the address of a phone, such as +15558675310")
        return handler(operations, request, number)

    return checked


def represent_message(base_url: str, message: PhoneMessage) -> PhoneMessageRepresentation:
    return PhoneMessageRepresentation(**message.model_dump() | {"media_urls": absolute_urls(base_url, message)})


def represent_in_thread(base_url: str, stored: StoredPhoneMessage) -> ThreadMessageRepresentation:
    message, receipt, conversation = stored
    return ThreadMessageRepresentation(
        **message.model_dump()
        | {
            "media_urls": absolute_urls(base_url, message),
            "numbers": stored.numbers,
            "status": receipt and receipt.shown_status,
            "error_code": receipt.error_code if receipt else 0,
            "chat_service_sid": conversation and conversation.chat_service_sid,
        }
    )


def absolute_urls(base_url: str, message: PhoneMessage) -> list[str]:
    return [f"{base_url}{url}" if url.startswith("/") else url for url in message.media_urls]
