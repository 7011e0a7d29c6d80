"""`POST /v1/ConversationWithParticipants` succeeds, or returns an error of the error catalogue and stores nothing.

See docs/how-it-works.md#promises. Further tests format a request as a form and parse the form again.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

import isodate
from hypothesis import HealthCheck, event, example, given, settings
from hypothesis import strategies as st

from convoke.api.form import Form
from convoke.api.parameter_names import PARTICIPANT, form_name
from convoke.api.parameters import parse, read_participants
from convoke.api.resources.conversations import CreateConversation
from convoke.domain.conversations import MAX_NAME_CHARACTERS
from convoke.domain.errors import CATALOGUE
from tests.support.examples import CHAT_AND_SMS, GROUP_MMS
from tests.support.instances import Answer, EmbeddedInstance, held_instance

PATH = "/v1/ConversationWithParticipants"

THOROUGH = settings(deadline=None, max_examples=150, suppress_health_check=[HealthCheck.too_slow])

PHONES = ["+15558675310", "+15558675311", "+15558675312", "+15017122661", "+15017122662"]

ADDRESSES = [
    *PHONES,
    *(f"whatsapp:{phone}" for phone in PHONES[:2]),
    "a@example.com",
    "messenger:7",
    "+18005550100",
    "x",
]

TEXT = st.text(st.characters(codec="utf-8"))
"""Generates any text that UTF-8 can encode, including NUL."""

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | TEXT,
    lambda inner: st.lists(inner) | st.dictionaries(TEXT, inner),
    max_leaves=5,
)


def optional(**keys: st.SearchStrategy[Any]) -> st.SearchStrategy[dict[str, Any]]:
    return st.fixed_dictionaries({}, optional=keys)


MEMBERS = optional(
    identity=st.sampled_from(["alice", "bob", ""]) | TEXT,
    messaging_binding=optional(
        address=st.sampled_from(ADDRESSES),
        proxy_address=st.sampled_from(ADDRESSES),
        projected_address=st.sampled_from(ADDRESSES),
        type=st.sampled_from(["sms", "SMS", "email", "fax"]),
        name=TEXT,
        level=st.sampled_from(["to", "CC", "over"]),
    )
    | JSON,
    attributes=st.sampled_from(["{}", "no JSON"]) | JSON,
    role_sid=st.just("RL" + "0" * 32) | JSON,
    date_created=st.datetimes().map(datetime.isoformat) | JSON,
)

VALUES = MEMBERS.map(json.dumps) | JSON.map(json.dumps) | TEXT | st.sampled_from(CHAT_AND_SMS + GROUP_MMS)

FIELDS = optional(
    FriendlyName=TEXT,
    UniqueName=st.sampled_from(["taken", "free", "CH" + "0" * 32]) | TEXT,
    Attributes=st.sampled_from(["{}", "[" * 5000]) | JSON.map(json.dumps) | TEXT,
    State=st.sampled_from(["active", "Inactive", "closed", "initializing", ""]) | TEXT,
    DateCreated=st.datetimes().map(lambda moment: moment.isoformat() + "Z") | TEXT,
    MessagingServiceSid=st.sampled_from(["MG" + "0" * 32, "MG"]) | TEXT,
    Participant=st.lists(VALUES, max_size=12),
    **{
        "Timers.Inactive": st.sampled_from(["PT0S", "PT1M", "PT59S", "P1M"]) | TEXT,
        "Timers.Closed": st.sampled_from(["PT0S", "PT10M", "PT9M", "P1Y"]) | TEXT,
        "Bindings.Email.Address": TEXT,
        "X": TEXT,
    },
)


@contextmanager
def instance_with_conversations() -> Iterator[EmbeddedInstance]:
    """Run an instance with conversations that hold a unique name, an address pair and a number group."""
    with held_instance() as instance:
        assert instance.call("POST", PATH, {"UniqueName": "taken", "Participant": CHAT_AND_SMS}).status == 202
        assert instance.call("POST", PATH, {"Participant": GROUP_MMS}).status == 202
        instance.work()
        yield instance


def check(answered: Answer) -> None:
    """Check that a response is a success, or an error of the catalogue with the right status."""
    if answered.status in (201, 202):
        assert answered.body["sid"].startswith("CH")
        return
    body = answered.body
    assert body["status"] == answered.status == CATALOGUE[body["code"]].status
    assert answered.status < 500
    for problem in body.get("details", {}).get("problems", []):
        assert CATALOGUE[problem["code"]].rule == problem["rule"]


@THOROUGH
@given(fields=FIELDS)
@example(fields={"Participant": ['{"identity": "\\ud800"}']})
@example(fields={"Participant": ['{"identity": "a\\u0000b"}'], "FriendlyName": "\0"})
@example(fields={"Participant": ["[" * 100_000]})
@example(fields={"Participant": ['{"a":' * 50_000]})
@example(fields={"UniqueName": "taken", "Participant": [*CHAT_AND_SMS, *CHAT_AND_SMS]})
def test_any_form_is_served_or_rejected_without_leaving_items(fields: dict[str, Any]) -> None:
    serve_or_refuse(fields)


LIKELY_MEMBERS = optional(
    identity=st.sampled_from(["alice", "bob", "carol"]),
    messaging_binding=optional(
        address=st.sampled_from(ADDRESSES[:6]),
        proxy_address=st.sampled_from(ADDRESSES[3:7]),
        projected_address=st.sampled_from(PHONES),
    ),
)


@THOROUGH
@given(
    members=st.lists(LIKELY_MEMBERS.map(json.dumps) | st.sampled_from(CHAT_AND_SMS + GROUP_MMS), min_size=1, max_size=5)
)
def test_any_participants_are_added_or_rejected(members: list[str]) -> None:
    serve_or_refuse({"Participant": members})


def serve_or_refuse(fields: dict[str, Any]) -> None:
    with instance_with_conversations() as instance:
        before = instance.items("")
        answered = instance.call("POST", PATH, fields)
        event(f"{answered.status} {answered.body.get('code')}")
        check(answered)
        if answered.status >= 400:
            assert instance.items("") == before
            return
        instance.work()
        path = f"/v1/Conversations/{answered.body['sid']}"
        assert instance.call("GET", path).body["state"] == fields.get("State", "active").lower()
        added = instance.call("GET", f"{path}/Participants").body["participants"]
        assert len(added) == len(fields.get("Participant", []))


@THOROUGH
@given(body=st.binary(), content_type=st.sampled_from(["application/x-www-form-urlencoded", "text/plain", ""]) | TEXT)
@example(body=b"FriendlyName=%ff", content_type="application/x-www-form-urlencoded")
@example(body=b"Participant=%ED%A0%80", content_type="application/x-www-form-urlencoded")
@example(body=b"a=1&" * 5000, content_type="application/x-www-form-urlencoded")
@example(body=b"FriendlyName=" + b"x" * 2_000_000, content_type="application/x-www-form-urlencoded")
def test_any_bytes_as_a_body_are_served_or_rejected(body: bytes, content_type: str) -> None:
    with instance_with_conversations() as instance:
        answered = instance.call(
            "POST", PATH, body.decode("latin-1"), {"content-type": content_type.encode().decode("latin-1")}
        )
        check(answered)


DATES = st.datetimes(timezones=st.just(UTC)).map(lambda moment: moment.isoformat())

ATTRIBUTES = JSON.map(json.dumps).filter(lambda text: "NaN" not in text and "Infinity" not in text)

NAMES = st.text(st.characters(codec="utf-8"), min_size=1, max_size=MAX_NAME_CHARACTERS)


def durations(shortest: int) -> st.SearchStrategy[str]:
    lengths = st.integers(shortest, 10**8).map(lambda seconds: timedelta(seconds=seconds))
    return lengths.map(isodate.duration_isoformat) | st.just("PT0S")


VALID = optional(
    FriendlyName=NAMES,
    UniqueName=NAMES,
    Attributes=ATTRIBUTES,
    DateCreated=DATES,
    DateUpdated=DATES,
    State=st.sampled_from(["active", "INACTIVE"]),
    MessagingServiceSid=st.just("MG" + "0" * 32),
    **{
        "Timers.Inactive": durations(60),
        "Timers.Closed": durations(600),
        "Bindings.Email.Address": NAMES,
        "Bindings.Email.Name": NAMES,
    },
)


def formatted(requested: CreateConversation) -> Form:
    """Return the form that a client sends for the request."""
    given = requested.model_dump(exclude_none=True)
    return Form([(form_name(name), _formatted(value)) for name, value in given.items()])


def _formatted(value: object) -> str:
    match value:
        case datetime():
            return value.isoformat()
        case timedelta():
            text: str = isodate.duration_isoformat(value)
            return text
        case _:
            return str(value)


@settings(deadline=None)
@given(fields=VALID)
def test_formatting_and_parsing_a_request_returns_an_equal_request(fields: dict[str, str]) -> None:
    requested = parse(CreateConversation, Form(list(fields.items())))
    assert parse(CreateConversation, formatted(requested)) == requested
    assert requested.model_dump(include={"friendly_name", "attributes"}) == {
        "friendly_name": fields.get("FriendlyName"),
        "attributes": fields.get("Attributes", "{}"),
    }


BINDINGS = st.sampled_from(
    [
        {"address": PHONES[0]},
        {"address": PHONES[0], "proxy_address": PHONES[3]},
        {"projected_address": PHONES[3]},
        {"type": "EMAIL", "address": "a@example.com", "name": "A", "level": "Cc"},
    ]
)

IDENTITIES = st.text(st.characters(codec="utf-8"), min_size=1, max_size=256)

COMMON = optional(attributes=ATTRIBUTES, role_sid=st.just("RL" + "0" * 32), date_created=DATES, date_updated=DATES)

VALID_MEMBERS = st.tuples(
    COMMON,
    IDENTITIES.map(lambda name: {"identity": name}) | BINDINGS.map(lambda binding: {"messaging_binding": binding}),
).map(lambda parts: parts[0] | parts[1])


def participants_form(*values: str) -> Form:
    return Form([(PARTICIPANT, value) for value in values])


@settings(deadline=None)
@given(requested=st.lists(VALID_MEMBERS, max_size=10))
def test_formatting_and_parsing_participants_returns_equal_participants(requested: list[dict[str, Any]]) -> None:
    parsed, problems = read_participants(participants_form(*map(json.dumps, requested)))
    assert not problems
    formatted = participants_form(*(member.model_dump_json(exclude_none=True) for member in parsed))
    assert read_participants(formatted) == (parsed, [])
    assert [member.identity for member in parsed] == [member.get("identity") for member in requested]
