"""The test controls: resources under `/convoke/v1` with which tests in any language control an instance.

Only an embedded engine can have the test controls. `convoke.testing` and the option `--test-controls` of `convoke up`
add these resources. `clock_api.py` contains the resource of the clock. See docs/testing.md#test-controls.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from datetime import timedelta

from convoke.api.contracts import Contract
from convoke.api.errors import JSON
from convoke.api.operations import Operations
from convoke.api.representations import Representation, json_response
from convoke.api.requests import CONVOKE_PREFIX, Request
from convoke.api.responses import Response
from convoke.api.routes import AccountRoute, Endpoint
from convoke.domain.durations import parse_duration
from convoke.domain.errors import InvalidParameterError
from convoke.domain.instants import Instant
from convoke.embedded.missing_controls import ACCOUNTS, FAILURES, RESET, SETTLE
from convoke.lean_dataclass import lean_dataclass
from convoke.operations.accounts import new_token

DEFAULT_TIMEOUT = timedelta(seconds=10)
"""How long a Settle request waits if the request has no parameter `Timeout`."""


@lean_dataclass
class Controls:
    """The functions that the test controls call. The engine implements all functions except `reset`."""

    reset: Callable[[], None]
    """Deletes all data except the SID and the Auth Token of the first account. See `Instance.reset`."""
    settle: Callable[[timedelta], bool]
    """Waits until all work is done, but no longer than the given time. Returns whether all work is done.

    Conversations that a test keeps in the state `initializing` with `hold_next` do not count.
    """
    reject_in_next: Callable[[str, int, int], None]
    """Plans that the account's next ConversationWithParticipants request fails, because a participant is rejected.

    The arguments are the Account SID, the index of the participant and the error code. Raises ValueError if the API has
    no error with this code.
    """
    hold_next: Callable[[str], None]
    cancel_failures: Callable[[str], None]


class AccountRepresentation(Representation):
    sid: str
    auth_token: str
    default_chat_service_sid: str
    default_messaging_service_sid: str
    date_created: Instant


class SettleRepresentation(Representation):
    settled: bool


class FailureRepresentation(Representation):
    account_sid: str
    participant: int | None
    code: int | None
    hold: bool


RESET_CONTRACT = Contract("Instance", None, statuses=(204,))
ACCOUNTS_CONTRACT = Contract("Account", AccountRepresentation, statuses=(201,))
SETTLE_CONTRACT = Contract("Instance", SettleRepresentation, errors=(InvalidParameterError,))
FAILURES_CONTRACT = Contract("Failure", FailureRepresentation, statuses=(201,), errors=(InvalidParameterError,))
CANCEL_CONTRACT = Contract("Failure", None, statuses=(204,))


def control_routes(controls: Controls) -> tuple[AccountRoute, ...]:
    """Return the routes of the test controls, except the routes of the clock."""
    return (*_instance_routes(controls), _account_route(), *_failure_routes(controls))


def _instance_routes(controls: Controls) -> tuple[AccountRoute, ...]:
    def reset(_: Operations, __: Request) -> Response:
        controls.reset()
        return Response(204)

    def settle(_: Operations, request: Request) -> Response:
        text = value_of(request, "Timeout")
        timeout = DEFAULT_TIMEOUT if text is None else duration_in("Timeout", text)
        return json_response(SettleRepresentation(settled=controls.settle(timeout)))

    return (
        AccountRoute("POST", RESET, Endpoint(reset, RESET_CONTRACT), CONVOKE_PREFIX),
        AccountRoute("POST", SETTLE, Endpoint(settle, SETTLE_CONTRACT), CONVOKE_PREFIX),
    )


def _account_route() -> AccountRoute:
    def create(operations: Operations, _: Request) -> Response:
        token = new_token()
        account = operations.accounts.create(token=token)
        return json_response(AccountRepresentation(**account.model_dump(), auth_token=token), 201)

    return AccountRoute("POST", ACCOUNTS, Endpoint(create, ACCOUNTS_CONTRACT), CONVOKE_PREFIX)


def _failure_routes(controls: Controls) -> tuple[AccountRoute, ...]:
    def create(_: Operations, request: Request) -> Response:
        account_sid, hold = request.account.sid, value_of(request, "Hold")
        failure = FailureRepresentation(account_sid=account_sid, participant=None, code=None, hold=hold is not None)
        if hold is not None:
            if str(hold).lower() != "true":
                raise InvalidParameterError(parameter="Hold", wanted="true. Send DELETE to release the conversation")
            controls.hold_next(account_sid)
            return json_response(failure, 201)
        participant, code = integer_in(request, "Participant"), integer_in(request, "Code")
        try:
            controls.reject_in_next(account_sid, participant, code)
        except ValueError as error:
            raise InvalidParameterError(parameter="Code", wanted="an error code of the API, such as 50407") from error
        return json_response(failure.model_copy(update={"participant": participant, "code": code}), 201)

    def delete(_: Operations, request: Request) -> Response:
        controls.cancel_failures(request.account.sid)
        return Response(204)

    return (
        AccountRoute("POST", FAILURES, Endpoint(create, FAILURES_CONTRACT), CONVOKE_PREFIX),
        AccountRoute("DELETE", FAILURES, Endpoint(delete, CANCEL_CONTRACT), CONVOKE_PREFIX),
    )


def value_of(request: Request, name: str) -> object | None:
    """Return the value of the parameter `name`, or None if the request does not have the parameter.

    The body can be a form or JSON. In JSON, the key is `name` in lower case. Raise InvalidParameterError if the content
    type is JSON, but the body is not valid JSON.
    """
    if request.headers.get("content-type", "").partition(";")[0].strip().lower() != JSON:
        return next(iter(request.form.values(name)), None)
    try:
        parsed = json.loads(request.body)
    except ValueError as error:
        raise InvalidParameterError(parameter="body", wanted="a JSON object") from error
    return parsed.get(name.lower()) if isinstance(parsed, dict) else None


def duration_in(name: str, text: object) -> timedelta:
    """Parse the value `text` of the parameter `name`. Raise InvalidParameterError if the value is not a duration."""
    try:
        return parse_duration(text if isinstance(text, str) else "")
    except ValueError as error:
        raise InvalidParameterError(parameter=name, wanted="an ISO 8601 duration such as PT10M or P1D") from error


def integer_in(request: Request, name: str) -> int:
    """Return the value of the parameter `name` as an integer from 0 to 999,999,999.

    Raise InvalidParameterError if the value is anything else.
    """
    text = str(value_of(request, name))
    if not re.fullmatch(r"[0-9]{1,9}", text):
        raise InvalidParameterError(parameter=name, wanted="a whole number")
    return int(text)
