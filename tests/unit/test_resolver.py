"""Powertools' resolver must not change the responses of the API (api/resolver.py)."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
from aws_lambda_powertools.utilities.typing import LambdaContext

from convoke.api.app import Api
from convoke.api.resolver import resolver_of
from convoke.api.responses import Response
from convoke.embedded.gateway import RequestContext
from tests.support.instances import ORIGIN, EmbeddedInstance, event_of, held_instance


class Recorder:
    """Passes each request to the real API, and stores the last event, context and response."""

    def __init__(self, api: Api) -> None:
        self._api = api
        self.event: Any = None
        self.context: Any = None
        self.answered: Response

    def respond(self, event: Any, context: Any) -> Response:
        self.event, self.context = event, context
        self.answered = self._api.respond(event, context)
        return self.answered


class FunctionContext(LambdaContext):
    _aws_request_id = "0a5bc06e-95a7-4d0c-a1f3-9b7f7c1f5e1c"

    def get_remaining_time_in_millis(self) -> int:  # type: ignore[override]
        return 30_000


@pytest.fixture(scope="module")
def instance() -> Iterator[EmbeddedInstance]:
    with held_instance() as instance:
        yield instance


REQUESTS = [
    ("GET", "/openapi.json", None),
    ("POST", "/openapi.json", None),
    ("GET", "/v1/Services", None),
    ("POST", "/v1/Conversations", {"FriendlyName": "größe", "UniqueName": "visit"}),
    ("POST", "/v1/Conversations", {"UniqueName": "visit"}),
    ("GET", "/v1/Conversations/visit", None),
    ("GET", "/v1/Conversations?PageSize=1", None),
    ("GET", "/v1/Conversations?PageSize=x", None),
    ("GET", "/v1/Conversations?PageSize=1&PageSize=2", None),
    ("POST", "/v1/Conversations/visit", {"Attributes": "no JSON"}),
    ("POST", "/v1/Conversations", "%FF=not UTF-8"),
    ("GET", "/v1/Conversations/a%20b%23%3F", None),
    ("GET", "/v1/Conversations/line%0Abreak", None),
    ("GET", "/v1/Conversations/", None),
    ("GET", "/v1//Conversations", None),
    ("GET", "/", None),
    ("GET", "/v1/Services/IS0/Conversations", None),
    ("PUT", "/v1/Conversations/visit", None),
    ("PATCH", "/v1/Conversations", None),
    ("HEAD", "/v1/Conversations", None),
    ("OPTIONS", "/v1/Conversations", None),
    ("BREW", "/v1/Conversations", None),
    ("BREW", "/unknown", None),
    ("DELETE", "/v1/Conversations/visit", None),
]


@pytest.mark.parametrize(("method", "path", "data"), REQUESTS)
@pytest.mark.parametrize("authenticated", [True, False])
def test_answer_through_the_resolver_is_the_direct_answer(
    instance: EmbeddedInstance, method: str, path: str, data: Any, authenticated: bool
) -> None:
    recorder = Recorder(instance.engine.api)
    auth = (instance.account.sid, instance.token) if authenticated else None
    event, context = event_of(method, ORIGIN + path, auth=auth, data=data), FunctionContext()
    answered = resolver_of(recorder).resolve(event, context)  # type: ignore[arg-type]
    assert (recorder.event, recorder.context) == (event, context)
    direct = recorder.answered
    assert (answered["statusCode"], answered["headers"]) == (direct.status_code, direct.headers)
    assert (answered["body"] or "", answered["isBase64Encoded"]) == (direct.body, False)
    assert not answered.get("cookies")


def test_resolver_answers_one_request_after_the_other(instance: EmbeddedInstance) -> None:
    resolver = resolver_of(instance.engine.api)
    auth = (instance.account.sid, instance.token)
    paths = [f"/v1/Conversations/{number}" for number in range(3)]
    events = [event_of("GET", ORIGIN + path, auth=auth) for path in paths]
    answers = [resolver.resolve(event, FunctionContext()) for event in events]
    messages = [json.loads(answered["body"])["message"] for answered in answers]
    assert messages == [f"The requested resource /Conversations/{number} was not found" for number in range(3)]


def test_direct_answer_has_the_form_of_api_gateway(instance: EmbeddedInstance) -> None:
    event = event_of("GET", f"{ORIGIN}/v1/Services", auth=(instance.account.sid, instance.token))
    answered = instance.engine.api.resolve(event, RequestContext())
    assert (answered["statusCode"], answered["headers"]["Content-Type"]) == (200, "application/json")
    assert json.loads(answered["body"])["services"]
