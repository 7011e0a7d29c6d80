"""The API determines the names of form parameters and parses forms (api/parameters.py)."""

from __future__ import annotations

import json
from collections.abc import Callable

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from convoke.api.form import Form
from convoke.api.parameter_names import PARTICIPANT, form_name, join_name
from convoke.api.parameters import CreateParticipant, parse, parse_participant, read_participants
from convoke.api.resources.configuration_webhooks import UpdateConfigurationWebhooks
from convoke.api.resources.conversations import CreateConversation
from convoke.api.resources.senders import CreateSender
from convoke.api.resources.services import CreateService
from convoke.domain.configuration_webhooks import Target
from convoke.domain.errors import CATALOGUE, ConversationsError, refusal
from convoke.domain.events import EventType
from convoke.domain.model import Model
from convoke.domain.webhooks import Method

NAMES = {
    "friendly_name": "FriendlyName",
    "unique_name": "UniqueName",
    "date_created": "DateCreated",
    "date_updated": "DateUpdated",
    "messaging_service_sid": "MessagingServiceSid",
    "attributes": "Attributes",
    "state": "State",
    "timers_inactive": "Timers.Inactive",
    "timers_closed": "Timers.Closed",
    "bindings_email_address": "Bindings.Email.Address",
    "bindings_email_name": "Bindings.Email.Name",
}
"""Maps each field of CreateConversation to the name of its form parameter."""

WEBHOOK_NAMES = {
    "method": "Method",
    "filters": "Filters",
    "pre_webhook_url": "PreWebhookUrl",
    "post_webhook_url": "PostWebhookUrl",
    "target": "Target",
}
"""Maps each field of UpdateConfigurationWebhooks to the name of its form parameter."""


def parsed_or_refused(model: type[Model], fields: list[tuple[str, str]]) -> Model | ConversationsError:
    try:
        return parse(model, Form(fields))
    except ConversationsError as error:
        return error


def refused(model: type[Model], *fields: tuple[str, str]) -> tuple[int, int, str | None]:
    with pytest.raises(ConversationsError) as caught:
        parse(model, Form(list(fields)))
    return caught.value.code, caught.value.status, caught.value.parameter


@pytest.mark.parametrize(("field", "name"), [*NAMES.items(), *WEBHOOK_NAMES.items()])
def test_field_has_the_form_name_of_the_api(field: str, name: str) -> None:
    assert form_name(field) == name


@pytest.mark.parametrize(
    ("model", "names"),
    [
        (CreateConversation, NAMES),
        (CreateService, {"friendly_name": "FriendlyName"}),
        (UpdateConfigurationWebhooks, WEBHOOK_NAMES),
    ],
)
def test_request_model_accepts_exactly_the_documented_parameters(model: type[Model], names: dict[str, str]) -> None:
    assert {field: info.alias for field, info in model.model_fields.items()} == names


@pytest.mark.parametrize(
    "name",
    ["friendly_name", "friendlyname", "FRIENDLYNAME", "friendlyName", "FriendlyName[]", " FriendlyName", "Colour"],
)
def test_parameters_with_unknown_names_are_ignored(name: str) -> None:
    assert parse(CreateConversation, Form([(name, "x" * 1000)])) == parse(CreateConversation, Form([]))


@pytest.mark.parametrize("name", ["TimersInactive", "Timers_Inactive", "timers.inactive", "Timers.Inactive.X"])
def test_nested_parameters_without_the_exact_dotted_name_are_ignored(name: str) -> None:
    assert parse(CreateConversation, Form([(name, "no duration")])) == parse(CreateConversation, Form([]))


def test_last_value_of_a_repeated_parameter_wins() -> None:
    form = Form([("FriendlyName", "x" * 1000), ("State", "closed"), ("FriendlyName", "last"), ("State", "inactive")])
    taken = parse(CreateConversation, form)
    assert (taken.friendly_name, taken.state) == ("last", "inactive")


def test_participants_keep_the_order_of_the_request() -> None:
    members = [{"identity": name} for name in "cab"]
    taken, problems = read_participants(Form([(PARTICIPANT, json.dumps(member)) for member in members]))
    assert [member.identity for member in taken] == ["c", "a", "b"]
    assert not problems


@pytest.mark.parametrize(
    "refuse",
    [
        lambda lost: parse(CreateSender, Form([("Provider", "simulated"), ("Address", f"{lost}15558675310")])),
        lambda lost: parse_participant(
            CreateParticipant, Form([("MessagingBinding.Address", f"whatsapp:{lost}15558675310")])
        ),
        lambda lost: refusal(
            read_participants(Form([(PARTICIPANT, f'{{"messaging_binding":{{"address":"{lost}15558675310"}}}}')]))[1]
        ),
    ],
)
def test_error_about_a_number_whose_plus_sign_became_a_space_has_a_hint(refuse: Callable[[str], object]) -> None:
    def message(lost: str) -> str:
        try:
            return str(getattr(refuse(lost), "message", ""))
        except ConversationsError as error:
            return error.message

    assert "%2B" in message(" ")
    assert "%2B" not in message("0")


def test_request_models_are_immutable() -> None:
    taken: Model = parse(CreateConversation, Form([]))
    with pytest.raises(ValidationError):
        setattr(taken, "friendly_name", "other")  # noqa: B010


@pytest.mark.parametrize(
    ("location", "name"),
    [
        ((), ""),
        (("FriendlyName",), "FriendlyName"),
        (("Participant", 3), "Participant[3]"),
        (("Participant", 0, "messaging_binding", "address"), "Participant[0].messaging_binding.address"),
        (("Filters", 10), "Filters[10]"),
        (("Timers.Inactive",), "Timers.Inactive"),
    ],
)
def test_error_location_is_formatted_as_a_parameter_name(location: tuple[str | int, ...], name: str) -> None:
    assert join_name(location) == name


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ([], {}),
        ([("Method", "GET")], {"method": Method.GET}),
        ([("Method", "post")], {"method": Method.POST}),
        ([("Target", "webhook")], {"target": Target.WEBHOOK}),
        ([("Target", "FLEX")], {"target": Target.FLEX}),
        (
            [("Filters", "onMessageAdded"), ("Filters", "onConversationStateUpdated")],
            {"filters": (EventType.MESSAGE_ADDED, EventType.CONVERSATION_STATE_UPDATED)},
        ),
        ([("PostWebhookUrl", "https://example.com/post?a=b")], {"post_webhook_url": "https://example.com/post?a=b"}),
        ([("PreWebhookUrl", "http://localhost:8080")], {"pre_webhook_url": "http://localhost:8080"}),
        ([("PreWebhookUrl", "http://[::1]:8080/pre")], {"pre_webhook_url": "http://[::1]:8080/pre"}),
        ([("PostWebhookUrl", "")], {"post_webhook_url": None}),
        ([("Unknown", "x")], {}),
    ],
)
def test_webhook_configuration_update_contains_only_given_parameters(
    fields: list[tuple[str, str]], expected: dict[str, object]
) -> None:
    assert parse(UpdateConfigurationWebhooks, Form(fields)).model_dump(exclude_unset=True) == expected


@pytest.mark.parametrize(
    ("fields", "code", "parameter"),
    [
        ([("Method", "PUT")], 50055, "Method"),
        ([("Method", "")], 50055, "Method"),
        ([("Target", "studio")], 20001, "Target"),
        ([("Target", "")], 20001, "Target"),
        ([("Filters", "onMessageAdded"), ("Filters", "onMessageSent")], 50054, "Filters[1]"),
        *[
            ([(parameter, url)], 50054, parameter)
            for parameter in ("PreWebhookUrl", "PostWebhookUrl")
            for url in (
                *("/post", "example.com", "//example.com/post", "ftp://example.com", "https://", "https:///post"),
                *("http://example.com:99999", "http://example.com:x", "http://[::1", "javascript:alert(1)", " "),
            )
        ],
    ],
)
def test_invalid_webhook_configuration_is_rejected_with_its_code(
    fields: list[tuple[str, str]], code: int, parameter: str
) -> None:
    assert refused(UpdateConfigurationWebhooks, *fields) == (code, 400, parameter)


@pytest.mark.parametrize(
    ("fields", "code"),
    [([], 50000), ([("FriendlyName", "")], 50000), ([("FriendlyName", "x" * 257)], 50003)],
)
def test_service_friendly_name_must_have_1_to_256_characters(fields: list[tuple[str, str]], code: int) -> None:
    assert refused(CreateService, *fields) == (code, 400, "FriendlyName")
    assert parse(CreateService, Form([("FriendlyName", "x" * 256)])).friendly_name == "x" * 256


PRINTABLE = st.text(st.characters(codec="utf-8", exclude_categories=["C"]))

PIECES = st.sampled_from(
    [
        *(
            "",
            "PT1M",
            "PT0S",
            "P1D",
            "active",
            "closed",
            "initializing",
            "2020-01-01T00:00:00Z",
            "{}",
            '{"a": 1}',
            "NaN",
        ),
        *("MG" + "0" * 32, "CH" + "0" * 32, "onMessageAdded", "GET", "webhook", "https://example.com/x", "http://["),
        *('{"identity": "a"}', '{"messaging_binding": {"address": "+15558675310"}}', '{"messaging_binding": []}'),
        '{"messaging_binding": {"address": "+15558675310", "proxy_address": "+15017122661"}}',
    ]
)

KNOWN = [*NAMES.values(), *WEBHOOK_NAMES.values(), "Participant"]

FORMS = st.lists(st.tuples(st.one_of(st.sampled_from(KNOWN), PRINTABLE), st.one_of(PRINTABLE, PIECES)), max_size=15)

MODELS: list[type[Model]] = [
    *(CreateConversation, CreateService, UpdateConfigurationWebhooks),
]


@pytest.mark.parametrize("model", MODELS)
@settings(deadline=None)
@given(fields=FORMS)
@example(fields=[("Attributes", "[" * 10_000)])
@example(fields=[("Participant", "{" * 10_000)])
@example(fields=[("Timers.Closed", "P" + "9" * 10_000 + "D")])
@example(fields=[("DateCreated", "0001-01-01T00:00:00+14:00")])
def test_any_form_is_parsed_or_rejected_with_a_catalogue_error(
    model: type[Model], fields: list[tuple[str, str]]
) -> None:
    outcome = parsed_or_refused(model, fields)
    if isinstance(outcome, ConversationsError):
        assert CATALOGUE[outcome.code] is type(outcome)
        assert outcome.status == 400
        assert outcome.parameter is not None
        assert outcome.parameter.partition("[")[0] in KNOWN
    else:
        assert type(outcome) is model
        assert outcome.model_dump_json()


@settings(deadline=None)
@given(name=st.sampled_from(list(NAMES.values())), value=st.one_of(PRINTABLE, PIECES))
def test_any_value_is_accepted_or_rejected_with_the_parameter_name(name: str, value: str) -> None:
    outcome = parsed_or_refused(CreateConversation, [(name, value)])
    assert not isinstance(outcome, ConversationsError) or outcome.parameter == name
