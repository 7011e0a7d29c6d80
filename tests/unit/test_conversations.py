"""Convoke checks the parameters of a new conversation, and starts the timers of the conversation.

See docs/behaviour/conversations.md.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from convoke.api.form import Form
from convoke.api.parameters import parse
from convoke.api.resources.conversations import CreateConversation
from convoke.domain.conversations import Conversation, NewConversation, State
from convoke.domain.errors import ConversationsError
from convoke.domain.timers import Timers

DIGITS = "0123456789abcdef" * 2
NOON = datetime(2026, 1, 2, 12, tzinfo=UTC)
EMOJI = "\U0001f600"


def parsed(**parameters: str) -> CreateConversation:
    return parse(CreateConversation, Form(list(named(parameters).items())))


def named(parameters: dict[str, str]) -> dict[str, str]:
    """Replace the underscores in the keys with dots. `Timers_Inactive` becomes `Timers.Inactive`."""
    return {name.replace("_", "."): value for name, value in parameters.items()}


def refusal(fields: list[tuple[str, str]]) -> tuple[int, int, str | None]:
    with pytest.raises(ConversationsError) as caught:
        parse(CreateConversation, Form(fields))
    return caught.value.code, caught.value.status, caught.value.parameter


@pytest.mark.parametrize(
    ("parameter", "value", "code"),
    [
        ("FriendlyName", "x" * 257, 50003),
        ("FriendlyName", EMOJI * 257, 50003),
        ("UniqueName", "x" * 257, 50004),
        ("UniqueName", EMOJI * 257, 50004),
        ("Attributes", f'"{"x" * (16 * 1024 - 1)}"', 50303),
        ("Attributes", f'"{"é" * (8 * 1024 - 1)}" ', 50303),
        ("Attributes", "x" * (16 * 1024 + 1), 50303),
        ("Attributes", "", 50304),
        ("Attributes", "text", 50304),
        ("Attributes", "{'a': 1}", 50304),
        ("Attributes", '{"a": NaN}', 50304),
        ("DateCreated", "", 50308),
        ("DateCreated", "yesterday", 50308),
        ("DateCreated", "2020-01-01", 50308),
        ("DateCreated", "2020-02-30T00:00:00Z", 50308),
        ("DateUpdated", "", 50309),
        ("DateUpdated", "2020-01-01", 50309),
        ("UniqueName", "CH" + DIGITS, 50390),
        ("UniqueName", "CH" + DIGITS.upper(), 50390),
        ("State", "", 50374),
        ("State", "initializing", 50378),
        ("State", "INITIALIZING", 50378),
        ("State", "open", 50378),
        ("State", " active", 50378),
        ("State", "active\n", 50378),
        ("State", "\u0131nactive", 50378),
        ("State", "closed", 50384),
        ("State", "Closed", 50384),
        ("Timers.Inactive", "", 50379),
        ("Timers.Inactive", "60", 50379),
        ("Timers.Inactive", "P1M", 50379),
        ("Timers.Inactive", "P1Y", 50379),
        ("Timers.Inactive", "-PT5M", 50379),
        ("Timers.Inactive", "P36500DT1S", 50379),
        ("Timers.Inactive", "PT59S", 50375),
        ("Timers.Inactive", "PT59.999S", 50375),
        ("Timers.Inactive", "PT0.001S", 50375),
        ("Timers.Closed", "", 50380),
        ("Timers.Closed", "ten minutes", 50380),
        ("Timers.Closed", "P1M", 50380),
        ("Timers.Closed", "P100Y", 50380),
        ("Timers.Closed", "PT9M59S", 50376),
        ("Timers.Closed", "PT599.999S", 50376),
        ("Timers.Closed", "PT1S", 50376),
        ("MessagingServiceSid", "", 50341),
        ("MessagingServiceSid", "MG1", 50341),
        ("MessagingServiceSid", "CH" + DIGITS, 50341),
        ("MessagingServiceSid", "mg" + DIGITS, 50341),
        ("MessagingServiceSid", "MG" + DIGITS + "0", 50341),
        ("MessagingServiceSid", "MG" + DIGITS + "\n", 50341),
    ],
)
def test_invalid_create_parameter_is_rejected_with_its_code_and_name(parameter: str, value: str, code: int) -> None:
    assert refusal([(parameter, value)]) == (code, 400, parameter)


@pytest.mark.parametrize(
    ("parameter", "value", "field", "expected"),
    [
        ("FriendlyName", "x" * 256, "friendly_name", "x" * 256),
        ("FriendlyName", EMOJI * 256, "friendly_name", EMOJI * 256),
        ("FriendlyName", "  two  blanks ", "friendly_name", "  two  blanks "),
        ("UniqueName", "x" * 256, "unique_name", "x" * 256),
        ("UniqueName", EMOJI * 256, "unique_name", EMOJI * 256),
        ("UniqueName", "a/b?c#d e", "unique_name", "a/b?c#d e"),
        ("UniqueName", "", "unique_name", None),
        ("UniqueName", "CH" + DIGITS[1:], "unique_name", "CH" + DIGITS[1:]),
        ("UniqueName", "CH" + DIGITS + "0", "unique_name", "CH" + DIGITS + "0"),
        ("UniqueName", "MB" + DIGITS, "unique_name", "MB" + DIGITS),
        ("Attributes", '{ "topic": "feedback" }', "attributes", '{ "topic": "feedback" }'),
        ("Attributes", "null", "attributes", "null"),
        ("Attributes", f'"{"x" * (16 * 1024 - 2)}"', "attributes", f'"{"x" * (16 * 1024 - 2)}"'),
        ("Attributes", f'"{"é" * (8 * 1024 - 1)}"', "attributes", f'"{"é" * (8 * 1024 - 1)}"'),
        ("DateCreated", "2020-01-01T00:00:00Z", "date_created", datetime(2020, 1, 1, tzinfo=UTC)),
        ("DateCreated", "0999-01-01T00:00:00Z", "date_created", datetime(999, 1, 1, tzinfo=UTC)),
        ("DateUpdated", "2020-01-01T02:00:00+02:00", "date_updated", datetime(2020, 1, 1, tzinfo=UTC)),
        ("State", "active", "state", State.ACTIVE),
        ("State", "inactive", "state", State.INACTIVE),
        ("State", "InActive", "state", State.INACTIVE),
        ("Timers.Inactive", "PT0S", "timers_inactive", timedelta(0)),
        ("Timers.Inactive", "PT1M", "timers_inactive", timedelta(minutes=1)),
        ("Timers.Inactive", "PT60.001S", "timers_inactive", timedelta(seconds=60, milliseconds=1)),
        ("Timers.Inactive", "P36500D", "timers_inactive", timedelta(days=36_500)),
        ("Timers.Closed", "PT0S", "timers_closed", timedelta(0)),
        ("Timers.Closed", "PT10M", "timers_closed", timedelta(minutes=10)),
        ("Timers.Closed", "P1D", "timers_closed", timedelta(days=1)),
        ("MessagingServiceSid", "MG" + DIGITS, "messaging_service_sid", "MG" + DIGITS),
        ("MessagingServiceSid", "MG" + DIGITS.upper(), "messaging_service_sid", "MG" + DIGITS.upper()),
        ("Bindings.Email.Address", "a@example.com", "bindings_email_address", "a@example.com"),
        ("Bindings.Email.Name", "A", "bindings_email_name", "A"),
    ],
)
def test_valid_create_parameter_is_accepted(parameter: str, value: str, field: str, expected: object) -> None:
    taken = parse(CreateConversation, Form([(parameter, value)]))
    assert getattr(taken, field) == expected
    assert taken.model_fields_set == {field}


def test_omitted_create_parameters_have_their_defaults() -> None:
    assert parsed() == CreateConversation.model_construct(
        friendly_name=None,
        unique_name=None,
        attributes="{}",
        date_created=None,
        date_updated=None,
        state=State.ACTIVE,
        timers_inactive=timedelta(0),
        timers_closed=timedelta(0),
        messaging_service_sid=None,
        bindings_email_address=None,
        bindings_email_name=None,
        _fields_set=set(),
    )


def test_timers_are_accepted_without_a_state() -> None:
    assert parsed(Timers_Inactive="PT1M", Timers_Closed="PT10M").state is State.ACTIVE


def test_closed_timer_may_be_shorter_than_the_inactive_timer() -> None:
    assert parsed(Timers_Inactive="P1D", Timers_Closed="PT10M").timers_closed == timedelta(minutes=10)


WRONG = {
    "FriendlyName": ("x" * 257, 50003),
    "UniqueName": ("x" * 257, 50004),
    "Attributes": ("text", 50304),
    "DateCreated": ("x", 50308),
    "DateUpdated": ("x", 50309),
    "State": ("x", 50378),
    "Timers.Inactive": ("x", 50379),
    "Timers.Closed": ("x", 50380),
    "MessagingServiceSid": ("x", 50341),
}


@pytest.mark.parametrize("first", range(len(WRONG)))
def test_first_violated_rule_is_reported_whatever_the_order_of_the_form(first: int) -> None:
    wrong = list(WRONG.items())[first:]
    parameter, (_, code) = wrong[0]
    assert refusal([(name, value) for name, (value, _) in reversed(wrong)]) == (code, 400, parameter)


@settings(deadline=None)
@given(st.text())
def test_any_state_but_active_or_inactive_is_rejected(value: str) -> None:
    if value.lower() in {State.ACTIVE, State.INACTIVE}:
        assert parsed(State=value).state == value.lower()
    else:
        code, status, parameter = refusal([("State", value)])
        assert code in {50374, 50378, 50384}
        assert (status, parameter) == (400, "State")


def conversation(timers: Timers, state: State = State.INITIALIZING) -> Conversation:
    return Conversation(
        account_sid="AC" + DIGITS,
        chat_service_sid="IS" + DIGITS,
        sid="CH" + DIGITS,
        state=state,
        date_created=NOON,
        date_updated=NOON,
        timers=timers,
    )


MINUTE, TEN_MINUTES = timedelta(minutes=1), timedelta(minutes=10)


@pytest.mark.parametrize(
    ("timers", "inactive", "closed"),
    [
        (Timers(), None, None),
        (Timers(inactive=MINUTE), NOON + MINUTE, None),
        (Timers(closed=TEN_MINUTES), None, NOON + TEN_MINUTES),
        (Timers(inactive=MINUTE, closed=TEN_MINUTES), NOON + MINUTE, NOON + TEN_MINUTES),
    ],
)
def test_both_timers_start_at_the_same_moment(
    timers: Timers, inactive: datetime | None, closed: datetime | None
) -> None:
    started = conversation(timers).with_timers_from(NOON)
    assert (started.date_inactive, started.date_closed) == (inactive, closed)


def test_timers_do_not_run_while_a_conversation_is_initializing() -> None:
    waiting = conversation(Timers(inactive=MINUTE, closed=TEN_MINUTES))
    assert (waiting.date_inactive, waiting.date_closed) == (None, None)


@pytest.mark.parametrize("state", [State.ACTIVE, State.INACTIVE])
def test_timers_start_when_the_conversation_leaves_initializing(state: State) -> None:
    later = NOON + timedelta(seconds=30)
    finished = conversation(Timers(inactive=MINUTE, closed=TEN_MINUTES)).finished(state, later)
    assert (finished.state, finished.date_updated) == (state, later)
    assert (finished.date_inactive, finished.date_closed) == (later + MINUTE, later + TEN_MINUTES)
    assert finished.unsettled


def test_no_timer_starts_for_a_closed_conversation() -> None:
    finished = conversation(Timers(inactive=MINUTE, closed=TEN_MINUTES)).finished(State.CLOSED, NOON)
    assert (finished.state, finished.date_inactive, finished.date_closed) == (State.CLOSED, None, None)
    assert finished.unsettled


def test_finishing_keeps_a_date_updated_in_the_future() -> None:
    finished = conversation(Timers()).finished(State.ACTIVE, NOON - timedelta(days=1))
    assert finished.date_updated == NOON


def test_longest_closed_timer_ends_at_a_valid_date() -> None:
    started = conversation(Timers(closed=timedelta(days=36_500))).with_timers_from(NOON)
    assert started.date_closed == NOON + timedelta(days=36_500)


def test_domain_model_accepts_python_field_names() -> None:
    assert NewConversation(friendly_name="Ours").friendly_name == "Ours"
