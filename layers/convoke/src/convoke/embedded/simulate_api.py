"""The resource `/convoke/v1/Simulate/InboundMessages`: a simulated phone sends a message to a business number.

The engine on AWS never has this resource. See docs/behaviour/inbound-messages.md#simulated-phones.
"""

from __future__ import annotations

from collections.abc import Callable

from convoke.api.contracts import Contract
from convoke.api.operations import Operations
from convoke.api.parameters import FORM_NAMES, parse
from convoke.api.representations import Representation, json_response
from convoke.api.requests import CONVOKE_PREFIX, Request
from convoke.api.responses import Response
from convoke.api.routes import AccountRoute
from convoke.domain import errors
from convoke.domain.inbound_messages import Outcome
from convoke.domain.simulated_messages import NewSimulatedMessage
from convoke.operations.simulator import SimulatorOperations

PATH = "/Simulate/InboundMessages"


class CreateSimulatedMessage(NewSimulatedMessage):
    model_config = FORM_NAMES


class SimulatedMessageRepresentation(Representation):
    account_sid: str
    outcome: Outcome
    conversation_sid: str | None
    message_sid: str | None


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


def simulate_routes(simulator: Callable[[], SimulatorOperations]) -> tuple[AccountRoute, ...]:
    """Return the routes of simulated phones."""

    def create(_: Operations, request: Request) -> Response:
        received = simulator().send(request.account, parse(CreateSimulatedMessage, request.form))
        representation = SimulatedMessageRepresentation(account_sid=request.account.sid, **received.model_dump())
        return json_response(representation, status=201)

    return (AccountRoute("POST", PATH, create, CREATE, CONVOKE_PREFIX),)
