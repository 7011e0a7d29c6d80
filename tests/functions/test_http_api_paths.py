"""The API function receives paths and queries in the form in which API Gateway's HTTP APIs pass them.

An HTTP API changes paths in ways in which MiniStack and the embedded engine do not. For example, it decodes a path
twice. Therefore these tests use recorded paths and queries of real HTTP APIs.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any, get_args
from urllib.parse import unquote

import pytest

from convoke.api.path_values import PATH_VALUES
from convoke.api.routes import ROUTES, Route
from convoke.domain.names import NAME_IN_PATH
from convoke.domain.participants import NewParticipant
from convoke.domain.sids import Prefix
from tests.support.aws import FunctionContext, MotoInstance, moto_instance
from tests.support.examples import chat
from tests.support.instances import ORIGIN, Answer, event_of
from tests.support.template import ROOT

RECORDED = {
    "question%3Fvalue": "question",
    "slash%2Fvalue": "slash/value",
    "literal%252Fvalue": "literal/value",
    "literal%253Fvalue": "literal?value",
}
"""Maps the last path segment of a client's request to the last segment that a real HTTP API passed to the function.

The event contains the path as `rawPath`.

Source: https://github.com/hotsock/voker/blob/main/vokerhttp/testdata/ingress-paths.json.
"""

REFUSED_BY_GATEWAY = "percent%25done"
"""A path segment for which an HTTP API responds with 400 without calling the function.

The source of RECORDED also documents this response.
"""

CUT = "question%3Fvalue"

NAMES = [unquote(sent) for sent in (*RECORDED, REFUSED_BY_GATEWAY)]

REFUSED_NAMES = [name for name in NAMES if "?" in name]

PARAMETER = re.compile("(?<=/)<[a-z_]+>")


@pytest.fixture(scope="module")
def moto() -> Iterator[MotoInstance]:
    with moto_instance() as instance:
        yield instance


def replay(moto: MotoInstance, method: str, path: str, **query: Any) -> Answer:
    """Invoke the API function with an event of an HTTP API. `query` sets fields such as `rawQueryString`."""
    event: dict[str, Any] = json.loads((ROOT / "events/api/create_plain.json").read_text())
    event |= {"rawPath": path, "body": "", **query}
    event["requestContext"]["http"] |= {"method": method, "path": path}
    event["headers"] |= event_of(method, ORIGIN, auth=(moto.account.sid, moto.token))["headers"]
    answered = moto.api(event, FunctionContext())
    return Answer(answered["statusCode"], answered["headers"], answered["body"])


# Paths


@pytest.fixture(scope="module")
def parents(moto: MotoInstance) -> dict[str, str]:
    """Create a resource of each kind that has subresources.

    Return a mapping from the path segment before the resource, such as `Conversations`, to the SID or the id of the
    resource. For `Users`, the value is the identity of a User.
    """
    conversation = moto.call("POST", "/v1/ConversationWithParticipants", {"Participant": chat(1)}).body
    moto.work()
    message = moto.call("POST", f"/v1/Conversations/{conversation['sid']}/Messages", {"Body": "Hello"}).body
    event = moto.call("GET", "/convoke/v1/Events").body["events"][0]
    return {
        "Accounts": moto.account.sid,
        "Services": conversation["chat_service_sid"],
        "Conversations": conversation["sid"],
        "Messages": message["sid"],
        "Events": event["id"],
        "Users": "member 0",
    }


def received_paths(rule: str, sent: str, parents: dict[str, str]) -> Iterator[str]:
    """For each path parameter of `rule`, yield the path that the function receives if a client sends `sent` there."""
    for parameter in PARAMETER.finditer(rule):
        before = re.sub(
            "([A-Za-z]+)/<[a-z_]+>", lambda found: f"{found[1]}/{parents[found[1]]}", rule[: parameter.start()]
        )
        # API Gateway decodes `%3F` to a question mark, and cuts off the path there.
        behind = "" if sent == CUT else PARAMETER.sub("x", rule[parameter.end() :])
        yield before + RECORDED[sent] + behind


@pytest.mark.parametrize("sent", RECORDED)
def test_recorded_path_value_reaches_no_resource_at_any_path_parameter(
    moto: MotoInstance, parents: dict[str, str], sent: str
) -> None:
    before, replayed = moto.items(""), 0
    for route in ROUTES:
        for path in (path for rule in route.rules for path in received_paths(rule, sent, parents)):
            answered = replay(moto, route.method, path)
            assert answered.status in {400, 404, 405}, (route.method, path, answered.text)
            replayed += 1
    assert replayed > len(ROUTES)
    assert moto.items("") == before


def test_path_that_was_cut_at_a_question_mark_reaches_another_resource(moto: MotoInstance) -> None:
    """The function cannot notice that a path was cut off. Therefore Convoke refuses names with a question mark."""
    other = moto.call("POST", "/v1/Conversations", {"UniqueName": RECORDED[CUT]}).body["sid"]
    assert replay(moto, "GET", f"/v1/Conversations/{RECORDED[CUT]}").body["sid"] == other
    assert moto.call("DELETE", f"/v1/Conversations/{other}").status == 204


# Names in requests


def fields_with_names(route: Route) -> list[str]:
    """Return a route's form parameters whose values can later be parts of paths."""
    form = route.contract.form
    return [
        field.alias or name
        for name, field in (form.model_fields.items() if form else ())
        if NAME_IN_PATH in [*field.metadata, *markers(field.annotation)]
    ]


def markers(annotation: object) -> Iterator[object]:
    """Yield the metadata of an annotated type. For a union, also yield the metadata of its members."""
    yield from getattr(annotation, "__metadata__", ())
    for part in get_args(annotation):
        yield from markers(part)


def test_every_path_parameter_that_takes_a_name_is_validated_where_the_name_is_given() -> None:
    """If clients can use a name as a path parameter, the request that sets the name must validate it.

    The form field of the name must have the marker NAME_IN_PATH.
    """
    taking_names = {
        segment for segment, value in PATH_VALUES.items() if not isinstance(value, Prefix) and "pattern" not in value
    }
    created = {route.rule.rpartition("/")[2]: fields_with_names(route) for route in ROUTES if route.method == "POST"}
    # Only the embedded engine has simulated phones, and its gateway does not cut off paths.
    taking_names.remove("Phones")
    assert taking_names == {segment for segment, fields in created.items() if fields and segment in PATH_VALUES}
    assert NAME_IN_PATH in markers(NewParticipant.model_fields["identity"].annotation)


@pytest.mark.parametrize("name", REFUSED_NAMES)
def test_name_with_a_question_mark_is_refused_in_every_form_parameter(
    moto: MotoInstance, parents: dict[str, str], name: str
) -> None:
    before, refused = moto.items(""), []
    for route in ROUTES:
        for parameter in fields_with_names(route):
            path = re.sub(
                "([A-Za-z]+)/<[a-z_]+>", lambda found: f"{found[1]}/{parents.get(found[1], 'MB0')}", route.rules[0]
            )
            answered = moto.call(route.method, path, {parameter: name})
            assert answered.status == 400, answered.text
            assert answered.body["details"]["parameter"] == parameter
            assert "must be a text without ?" in answered.body["message"]
            refused.append(parameter)
    assert sorted(refused) == ["Address", *["Identity"] * 3, *["UniqueName"] * 3]
    assert moto.items("") == before


@pytest.mark.parametrize("name", REFUSED_NAMES)
def test_identity_with_a_question_mark_is_refused_in_the_parameter_participant(moto: MotoInstance, name: str) -> None:
    before = moto.items("")
    participants = [json.dumps({"identity": identity}) for identity in ("alice", name)]
    answered = moto.call("POST", "/v1/ConversationWithParticipants", {"Participant": participants})
    assert (answered.status, answered.body["code"]) == (400, 20001)
    assert answered.body["details"]["parameter"] == "Participant[1].identity"
    assert moto.items("") == before


@pytest.mark.parametrize("name", [name for name in NAMES if name not in REFUSED_NAMES])
def test_name_with_a_slash_or_percent_sign_is_accepted_and_reachable_by_sid(moto: MotoInstance, name: str) -> None:
    data = {"UniqueName": name, "Participant": json.dumps({"identity": name})}
    created = moto.call("POST", "/v1/ConversationWithParticipants", data)
    assert created.status == 202
    moto.work()
    path = f"/v1/Conversations/{created.body['sid']}"
    assert moto.call("GET", path).body["unique_name"] == name
    (participant,) = moto.call("GET", f"{path}/Participants").body["participants"]
    assert moto.call("GET", f"{path}/Participants/{participant['sid']}").body["identity"] == name


# Queries


def test_last_value_of_a_repeated_query_parameter_is_used(moto: MotoInstance) -> None:
    """API Gateway joins repeated values with commas in `queryStringParameters`, but not in `rawQueryString`.

    Therefore the function must read `rawQueryString`.
    """
    query = {"rawQueryString": "PageSize=7&PageSize=1", "queryStringParameters": {"PageSize": "7,1"}}
    assert replay(moto, "GET", "/v1/Conversations", **query).body["meta"]["page_size"] == 1


def test_query_parameters_are_decoded_once(moto: MotoInstance) -> None:
    """The `rawQueryString` below is what a real HTTP API passed to its function. It is still percent-encoded."""
    identity = "a+b,c%2Fd é"
    participant = json.dumps({"identity": identity})
    sid = moto.call("POST", "/v1/ConversationWithParticipants", {"Participant": participant}).body["sid"]
    moto.work()
    query = {
        "rawQueryString": "Identity=a%2Bb%2Cc%252Fd+%C3%A9&PageSize=5",
        "queryStringParameters": {"Identity": identity, "PageSize": "5"},
    }
    found = replay(moto, "GET", "/v1/ParticipantConversations", **query).body["conversations"]
    assert [each["conversation_sid"] for each in found] == [sid]
