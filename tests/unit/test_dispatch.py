"""The dispatcher finds the route of a request and returns a response (api/dispatch.py)."""

from __future__ import annotations

import base64
import json
from types import SimpleNamespace
from typing import Any

import pytest

from convoke.api.carriers import CONTRACT
from convoke.api.dispatch import Dispatcher, request_id
from convoke.api.requests import CarrierRequest, Request
from convoke.api.resources import services
from convoke.api.responses import Response
from convoke.api.routes import AccountRoute, CarrierRoute, Endpoint
from convoke.domain.errors import NotAuthenticatedError, NotFoundError, UnavailableError
from convoke.embedded.gateway import RequestContext
from convoke.embedded.suspension import NeedsThreadError, RunAgainError

PASSWORD = "secret"


def authenticate(user: str, password: str) -> SimpleNamespace:
    if password != PASSWORD:
        raise NotAuthenticatedError
    return SimpleNamespace(sid=user)


OPERATIONS: Any = SimpleNamespace(accounts=SimpleNamespace(authenticate=authenticate))


def handler(name: str) -> Any:
    """Return a handler that responds with its own name and with the values of the path parameters."""

    def handle(_: object, request: Request, **values: str) -> Response:
        return Response(200, "application/json", json.dumps({"handler": name, **values}))

    return handle


def called_by_carrier(request: CarrierRequest, **values: str) -> Response:
    return Response(200, "application/json", json.dumps({"url": request.called_url, **values}))


def failing(error: BaseException) -> Any:
    def handle(*_: object) -> Response:
        raise error

    return handle


def route(method: str, rule: str, handle: Any) -> AccountRoute:
    return AccountRoute(method, rule, Endpoint(handle, services.FETCH), "/x")


DISPATCHER = Dispatcher(
    OPERATIONS,
    (
        route("GET", "/A/<one>", handler("value")),
        route("POST", "/A/<one>", handler("post value")),
        route("GET", "/A/literal", handler("literal")),
        route("GET", "/A/<one>/B/<two>", handler("two values")),
        route("DELETE", "/A/<other>/B", handler("delete")),
        route("GET", "/A/literal/C", handler("below literal")),
        route("GET", "/Refused", failing(UnavailableError())),
        route("GET", "/Missing", failing(NotFoundError())),
        route("GET", "/Bug", failing(KeyError("a secret"))),
        route("GET", "/RunAgain", failing(RunAgainError())),
        route("GET", "/NeedsThread", failing(NeedsThreadError())),
        CarrierRoute("POST", "/Inbound/<one>", Endpoint(called_by_carrier, CONTRACT)),
    ),
)


def request(method: str, path: str, password: str = PASSWORD) -> dict[str, Any]:
    encoded = base64.b64encode(f"AC1:{password}".encode()).decode()
    return {
        "rawPath": path,
        "headers": {"authorization": f"Basic {encoded}"},
        "requestContext": {"http": {"method": method, "path": path}},
    }


def answer(method: str, path: str, password: str = PASSWORD) -> Response:
    answered = DISPATCHER.answer(request(method, path, password), RequestContext())
    assert isinstance(answered, Response)
    return answered


def found(method: str, path: str) -> dict[str, str]:
    answered = answer(method, path)
    assert answered.status_code == 200, answered.body
    values: dict[str, str] = json.loads(answered.body)
    return values


# The route


@pytest.mark.parametrize(
    ("method", "path", "expected"),
    [
        ("GET", "/x/A/1", {"handler": "value", "one": "1"}),
        ("POST", "/x/A/1", {"handler": "post value", "one": "1"}),
        ("GET", "/x/A/literal", {"handler": "literal"}),
        ("GET", "/x/A/literal/C", {"handler": "below literal"}),
        ("GET", "/x/A/1/B/2", {"handler": "two values", "one": "1", "two": "2"}),
        ("GET", "/x/A/literal/B/2", {"handler": "two values", "one": "literal", "two": "2"}),
        ("DELETE", "/x/A/1/B", {"handler": "delete", "other": "1"}),
    ],
)
def test_literal_segments_win_over_values(method: str, path: str, expected: dict[str, str]) -> None:
    assert found(method, path) == expected


@pytest.mark.parametrize("name", ["visit", "two words", "\U0001f600", "a#b?c", "'\"", "line\nbreak", "%2F", "<one>"])
def test_path_value_may_contain_any_character_except_a_slash(name: str) -> None:
    assert found("GET", f"/x/A/{name}") == {"handler": "value", "one": name}
    assert answer("GET", f"/x/A/{name}/x").status_code == 404


@pytest.mark.parametrize(
    "path", ["", "/", "/x", "/x/A", "/x/A/", "/x/A//", "/x/A//B", "/x/A/1/", "//x/A/1", "/X/A/1", "/x/a/1", "/x/A/1/B/"]
)
def test_other_path_is_not_found(path: str) -> None:
    answered = answer("GET", path)
    assert answered.status_code == 404
    assert json.loads(answered.body)["message"] == f"The requested resource {path or '/'} was not found"


def test_path_in_a_404_lacks_twilios_version() -> None:
    assert "resource /Unknown was" in json.loads(answer("GET", "/v1/Unknown").body)["message"]
    assert "resource /convoke/v1/Unknown was" in json.loads(answer("GET", "/convoke/v1/Unknown").body)["message"]


@pytest.mark.parametrize(
    ("method", "path", "allowed"),
    [
        ("DELETE", "/x/A/1", "GET, POST"),
        ("POST", "/x/A/literal", "GET"),
        ("GET", "/x/A/1/B", "DELETE"),
        ("HEAD", "/x/A/literal", "GET"),
        ("BREW", "/x/A/literal", "GET"),
        ("POST", "/openapi.json", "GET"),
        ("PUT", "/v1/Conversations/CH0", "DELETE, GET, POST"),
    ],
)
def test_method_without_a_route_is_refused_with_the_allowed_ones(method: str, path: str, allowed: str) -> None:
    answered = answer(method, path)
    assert (answered.status_code, answered.headers["Allow"]) == (405, allowed)


# The order of checks


@pytest.mark.parametrize(("method", "path"), [("GET", "/x/A/1"), ("GET", "/unknown"), ("PUT", "/x/A/1"), ("GET", "")])
def test_wrong_credentials_get_401_before_any_route_is_looked_up(method: str, path: str) -> None:
    answered = answer(method, path, "wrong")
    assert answered.status_code == 401
    assert "WWW-Authenticate" in answered.headers
    without = {**request(method, path), "headers": None}
    assert DISPATCHER.answer(without, RequestContext()).status_code == 401  # type: ignore[union-attr]


def test_public_route_needs_no_credentials() -> None:
    # `/openapi.json` describes all real routes. Therefore this request cannot use DISPATCHER, which has fake routes.
    answered = Dispatcher(OPERATIONS).answer(request("GET", "/openapi.json", "wrong"), RequestContext())
    assert isinstance(answered, Response)
    assert answered.status_code == 200
    assert json.loads(answered.body)["openapi"].startswith("3.")
    assert answer("GET", "/openapi.json/", "wrong").status_code == 401


def test_carrier_calls_its_route_without_credentials() -> None:
    called = {**request("POST", "/convoke/v1/Inbound/1", "wrong"), "rawQueryString": "a=%20b"}
    called["headers"] = {"host": "api.example.com", "x-forwarded-proto": "https"}
    answered = DISPATCHER.answer(called, RequestContext())
    assert isinstance(answered, Response)
    assert json.loads(answered.body) == {"url": "https://api.example.com/convoke/v1/Inbound/1?a=%20b", "one": "1"}
    assert answer("GET", "/convoke/v1/Inbound/1", "wrong").status_code == 405
    assert answer("POST", "/convoke/v1/Inbound/1/2", "wrong").status_code == 401


# Errors


def test_error_of_the_catalogue_becomes_its_answer() -> None:
    assert answer("GET", "/x/Refused").status_code == 503
    missing = answer("GET", "/x/Missing")
    assert (missing.status_code, json.loads(missing.body)["code"]) == (404, 20404)


def test_other_exception_becomes_a_500_with_the_id_of_the_request_and_nothing_else(
    caplog: pytest.LogCaptureFixture,
) -> None:
    context = RequestContext()
    answered = DISPATCHER.answer(request("GET", "/x/Bug"), context)
    assert isinstance(answered, Response)
    assert answered.status_code == 500
    assert request_id(context) in answered.body
    assert "secret" not in answered.body
    assert [record.__dict__["request_id"] for record in caplog.records] == [request_id(context)]


@pytest.mark.parametrize(("path", "signal"), [("/x/RunAgain", RunAgainError), ("/x/NeedsThread", NeedsThreadError)])
def test_signal_of_a_suspended_request_passes_through(path: str, signal: type[BaseException]) -> None:
    with pytest.raises(signal):
        answer("GET", path)
