"""Convoke parses and applies updates of conversations. See docs/behaviour/conversations.md."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from convoke.api.form import Form
from convoke.api.parameters import parse
from convoke.api.resources.conversations import UpdateConversation
from convoke.domain.conversations import Conversation, ConversationChange, EmailBinding, State
from convoke.domain.errors import (
    ConversationBeingDeletedError,
    ConversationClosedError,
    ConversationInitializingError,
    ConversationsError,
)
from convoke.domain.timers import Timers

DIGITS = "0123456789abcdef" * 2
NOON = datetime(2026, 1, 2, 12, tzinfo=UTC)
LATER = NOON + timedelta(hours=1)
MINUTE, TEN_MINUTES = timedelta(minutes=1), timedelta(minutes=10)


def conversation(**fields: Any) -> Conversation:
    standing: dict[str, Any] = {
        "account_sid": "AC" + DIGITS,
        "chat_service_sid": "IS" + DIGITS,
        "messaging_service_sid": "MG" + DIGITS,
        "sid": "CH" + DIGITS,
        "friendly_name": "Visit",
        "unique_name": "visit",
        "attributes": '{"a": 1}',
        "state": State.ACTIVE,
        "date_created": NOON,
        "date_updated": NOON,
        "email": EmailBinding(projected_address="a@example.com", name="A"),
        "timers": Timers(inactive=MINUTE, closed=TEN_MINUTES),
        "due_at": NOON + MINUTE,
    }
    return Conversation(**{**standing, **fields})


def asked(**parameters: str) -> ConversationChange:
    """Parse an update. The keyword `Timers_Inactive` stands for the parameter `Timers.Inactive`."""
    form = Form([(name.replace("_", "."), value) for name, value in parameters.items()])
    return parse(UpdateConversation, form)


MOMENTS = {"date_updated", "date_inactive", "date_closed"}
"""The dates that an update sets without a parameter: the date of the update, and the ends of the restarted timers."""


def changed(standing: Conversation, **parameters: str) -> dict[str, Any]:
    """Return the fields of `standing` that an update changes, with their new values. Omit the dates in MOMENTS."""
    before, after = standing.model_dump(), asked(**parameters).applied_to(standing, LATER).model_dump()
    return {name: value for name, value in after.items() if value != before[name] and name not in MOMENTS}


@pytest.mark.parametrize(
    ("parameter", "value", "different"),
    [
        ("FriendlyName", "Other", {"friendly_name": "Other"}),
        ("FriendlyName", "", {"friendly_name": ""}),
        ("UniqueName", "other", {"unique_name": "other"}),
        ("UniqueName", "", {"unique_name": None}),
        ("Attributes", "{}", {"attributes": "{}"}),
        ("DateCreated", "2020-01-01T00:00:00Z", {"date_created": datetime(2020, 1, 1, tzinfo=UTC)}),
        ("MessagingServiceSid", "MG" + "0" * 32, {"messaging_service_sid": "MG" + "0" * 32}),
        ("State", "Inactive", {"state": State.INACTIVE}),
        ("State", "closed", {"state": State.CLOSED, "due_at": None}),
        ("Timers_Inactive", "PT5M", {"timers": {"inactive": timedelta(minutes=5), "closed": TEN_MINUTES}}),
        ("Timers_Inactive", "PT0S", {"timers": {"inactive": timedelta(0), "closed": TEN_MINUTES}}),
        ("Timers_Closed", "P1D", {"timers": {"inactive": MINUTE, "closed": timedelta(days=1)}}),
        ("Timers_Closed", "PT0S", {"timers": {"inactive": MINUTE, "closed": timedelta(0)}}),
        ("Bindings_Email_Address", "b@example.com", {"email": {"projected_address": "b@example.com", "name": "A"}}),
        ("Bindings_Email_Address", "", {"email": {"projected_address": None, "name": "A"}}),
        ("Bindings_Email_Name", "B", {"email": {"projected_address": "a@example.com", "name": "B"}}),
    ],
)
def test_update_parameter_changes_only_its_own_fields(parameter: str, value: str, different: dict[str, Any]) -> None:
    assert changed(conversation(), **{parameter: value}) == different


def test_clearing_email_address_and_name_removes_the_email_binding() -> None:
    assert changed(conversation(), Bindings_Email_Address="", Bindings_Email_Name="") == {"email": None}
    assert changed(conversation(email=None), Bindings_Email_Name="B") == {
        "email": {"projected_address": None, "name": "B"}
    }


@pytest.mark.parametrize(
    ("parameter", "value", "code"),
    [
        ("FriendlyName", "x" * 257, 50003),
        ("UniqueName", "x" * 257, 50004),
        ("UniqueName", "CH" + DIGITS, 50390),
        ("Attributes", "text", 50304),
        ("DateCreated", "yesterday", 50308),
        ("DateUpdated", "yesterday", 50309),
        ("MessagingServiceSid", "MG1", 50341),
        ("State", "", 50374),
        ("State", "open", 50378),
        ("State", "initializing", 50378),
        ("Timers_Inactive", "x", 50379),
        ("Timers_Inactive", "PT59S", 50375),
        ("Timers_Closed", "x", 50380),
        ("Timers_Closed", "PT9M", 50376),
    ],
)
def test_invalid_update_parameter_is_rejected_with_its_code(parameter: str, value: str, code: int) -> None:
    with pytest.raises(ConversationsError) as caught:
        asked(**{parameter: value})
    assert (caught.value.code, caught.value.parameter) == (code, parameter.replace("_", "."))


def test_every_update_restarts_both_timers() -> None:
    after = asked(FriendlyName="Other").applied_to(conversation(), LATER)
    assert (after.date_inactive, after.date_closed) == (LATER + MINUTE, LATER + TEN_MINUTES)


def test_update_to_closed_stops_both_timers() -> None:
    running = conversation().with_timers_from(NOON)
    after = asked(State="closed", Timers_Inactive="PT5M").applied_to(running, LATER)
    assert (after.date_inactive, after.date_closed) == (None, None)


NEXT_YEAR = datetime(2027, 1, 1, tzinfo=UTC)


@pytest.mark.parametrize(
    ("standing", "given", "now", "expected"),
    [
        (NOON, None, LATER, LATER),
        (NOON, None, NOON - timedelta(days=1), NOON),
        (NOON, "2027-01-01T00:00:00Z", LATER, NEXT_YEAR),
        (NOON, "2020-01-01T00:00:00Z", LATER, NOON),
        (NEXT_YEAR, None, LATER, NEXT_YEAR),
    ],
)
def test_date_updated_never_decreases(standing: datetime, given: str | None, now: datetime, expected: datetime) -> None:
    parameters = {"DateUpdated": given} if given else {"FriendlyName": "Other"}
    assert asked(**parameters).applied_to(conversation(date_updated=standing), now).date_updated == expected


def test_date_updated_of_an_imported_conversation_can_be_in_the_past() -> None:
    imported = conversation(date_updated=datetime(2015, 1, 1, tzinfo=UTC))
    after = asked(DateUpdated="2016-01-01T00:00:00Z").applied_to(imported, LATER)
    assert after.date_updated == datetime(2016, 1, 1, tzinfo=UTC)


@pytest.mark.parametrize(
    ("parameters", "left_alone"),
    [
        ({}, True),
        ({"Unknown": "x"}, True),
        ({"State": "active"}, True),
        ({"State": "inactive"}, False),
        ({"State": "active", "FriendlyName": "Visit"}, False),
        ({"FriendlyName": "Visit"}, False),
        ({"DateUpdated": "2020-01-01T00:00:00Z"}, False),
    ],
)
def test_update_without_parameters_or_with_the_current_state_changes_nothing(
    parameters: dict[str, str], left_alone: bool
) -> None:
    assert asked(**parameters).changes_nothing(conversation()) is left_alone


@pytest.mark.parametrize(
    ("fields", "refused"),
    [
        ({"state": State.INITIALIZING}, ConversationInitializingError),
        ({"state": State.CLOSED}, ConversationClosedError),
        ({"state": State.ACTIVE, "date_removed": NOON}, ConversationBeingDeletedError),
        ({"state": State.INITIALIZING, "date_removed": NOON}, ConversationBeingDeletedError),
    ],
)
def test_initializing_closed_or_deleted_conversation_rejects_changes(
    fields: dict[str, Any], refused: type[ConversationsError]
) -> None:
    with pytest.raises(refused):
        conversation(**fields).refuse_changes()


@pytest.mark.parametrize("state", [State.ACTIVE, State.INACTIVE])
def test_active_or_inactive_conversation_accepts_changes(state: State) -> None:
    conversation(state=state).refuse_changes()


def test_tombstone_is_due_immediately_and_needs_no_publishing() -> None:
    removed = conversation(attempts=7, unsettled=True, due_at=LATER).as_tombstone(NOON)
    assert (removed.date_removed, removed.due_at, removed.attempts, removed.unsettled) == (NOON, NOON, 0, False)


@settings(deadline=None)
@given(st.lists(st.tuples(st.datetimes(timezones=st.just(UTC)), st.none() | st.datetimes(timezones=st.just(UTC)))))
def test_date_updated_never_decreases_for_any_clock_and_any_given_date(
    moments: list[tuple[datetime, datetime | None]],
) -> None:
    standing = conversation(timers=Timers())
    for now, given_date in moments:
        requested = ConversationChange.model_validate(
            {"friendly_name": "Other"} | ({"date_updated": given_date} if given_date else {})
        )
        after = requested.applied_to(standing, now)
        assert after.date_updated >= standing.date_updated
        standing = after
