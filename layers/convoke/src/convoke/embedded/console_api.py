"""The resource `/convoke/v1/ConsoleKeys`: the console exchanges a one-time code for an API key.

The engine on AWS does not have this resource, because each request from a stranger without credentials would cost a
read of the table.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from convoke.api.contracts import Contract
from convoke.api.form import parse_form
from convoke.api.parameters import FORM_NAMES, parse
from convoke.api.representations import Representation, StreamDate, json_response
from convoke.api.requests import CONVOKE_PREFIX
from convoke.api.responses import Response
from convoke.api.routes import Endpoint, PublicRoute
from convoke.domain.api_keys import ApiKey
from convoke.domain.console_codes import NewConsoleKey
from convoke.domain.errors import InvalidParameterError, NotAuthenticatedError, UnavailableError

PATH = f"{CONVOKE_PREFIX}/ConsoleKeys"


class CreateConsoleKey(NewConsoleKey):
    model_config = FORM_NAMES


class ConsoleKeyRepresentation(Representation):
    sid: str
    account_sid: str
    secret: str
    date_expires: StreamDate | None


CREATE = Contract(
    "ConsoleKey",
    ConsoleKeyRepresentation,
    statuses=(201,),
    form=CreateConsoleKey,
    errors=(InvalidParameterError, NotAuthenticatedError, UnavailableError),
)


def console_key_route(exchange: Callable[[NewConsoleKey], tuple[ApiKey, str]]) -> PublicRoute:
    """Return the route. `exchange` invalidates a one-time code, and returns an API key with its secret."""

    def create(event: Mapping[str, Any], _: object) -> Response:
        key, secret = exchange(parse(CreateConsoleKey, parse_form(event)))
        representation = ConsoleKeyRepresentation(
            sid=key.sid, account_sid=key.account_sid, secret=secret, date_expires=key.date_expires
        )
        return json_response(representation, status=201)

    return PublicRoute("POST", PATH, Endpoint(create, CREATE))
