"""Clients can filter the list of conversations (domain/conversation_filters.py)."""

from __future__ import annotations

import pytest
from pydantic import ValidationError

from convoke.domain.conversation_filters import ConversationFilters
from convoke.domain.conversations import State
from convoke.domain.errors import ConversationsError, StateEmptyError, StateUnknownError


@pytest.mark.parametrize(
    ("text", "state"),
    [
        ("initializing", State.INITIALIZING),
        ("INITIALIZING", State.INITIALIZING),
        ("active", State.ACTIVE),
        ("Inactive", State.INACTIVE),
        ("closed", State.CLOSED),
    ],
)
def test_state_filter_accepts_every_state_in_any_case(text: str, state: State) -> None:
    assert ConversationFilters.model_validate({"state": text}).state is state


@pytest.mark.parametrize(("text", "error"), [("", StateEmptyError), ("open", StateUnknownError)])
def test_unknown_state_filter_is_rejected(text: str, error: type[ConversationsError]) -> None:
    with pytest.raises(ValidationError) as caught:
        ConversationFilters.model_validate({"state": text})
    assert type(caught.value.errors()[0]["ctx"]["error"]) is error


@pytest.mark.parametrize(
    ("filters", "newest_first"),
    [
        ({}, False),
        ({"state": "active"}, False),
        ({"start_date": "2026-01-02"}, True),
        ({"end_date": "2026-01-02"}, True),
    ],
)
def test_list_with_a_date_filter_is_newest_first(filters: dict[str, str], newest_first: bool) -> None:
    assert ConversationFilters.model_validate(filters).newest_first is newest_first
