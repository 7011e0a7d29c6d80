"""The soak test detects lost and duplicated conversations and participants, and lost calls (tests/faults/soak.py)."""

from __future__ import annotations

from collections import Counter
from random import Random
from urllib.parse import urlencode

import pytest

from tests.faults.soak import Soak, Stored, Wanted

WANTED = Wanted("soak 0", "active", ("alice", "bob"), has_key=False, notifies=True)

STORED = Stored("CH1", "soak 0", "active", ["alice", "bob"])


def soak(*calls: tuple[str, str]) -> Soak:
    made = Soak(Random(1), {WANTED.name: WANTED}, {WANTED.name: "CH1"})
    made.calls["CH1"] = Counter(calls or WANTED.calls)
    return made


def test_nothing_lost_or_doubled_is_no_violation() -> None:
    assert [*soak().violations([STORED])] == []


@pytest.mark.parametrize(
    ("stored", "messages"),
    [
        ([], ["CH1: answered with 202, but does not exist", "CH1: a webhook call, but no such conversation"]),
        ([STORED, STORED], ["soak 0: 2 conversations"]),
        ([STORED._replace(state="initializing")], ["CH1: the state is initializing, not active"]),
        ([STORED._replace(identities=["alice"])], ["CH1: the participants are ['alice'], not ['alice', 'bob']"]),
        (
            [STORED._replace(identities=["alice", "bob", "bob"])],
            ["CH1: the participants are ['alice', 'bob', 'bob'], not ['alice', 'bob']"],
        ),
        ([STORED, Stored("CH2", "other", "active", [])], ["other: nobody requested this conversation"]),
    ],
)
def test_lost_or_doubled_conversation_or_participant_is_a_violation(stored: list[Stored], messages: list[str]) -> None:
    assert [*soak().violations(stored)] == messages


def test_missing_webhook_call_is_a_violation() -> None:
    arrived = WANTED.calls - {("onParticipantAdded", "bob")}
    assert [*soak(*arrived).violations([STORED])] == ["CH1: no webhook call for onParticipantAdded bob"]


def test_repeated_webhook_call_is_no_violation() -> None:
    made = soak()
    body = {"ConversationSid": "CH1", "EventType": "onParticipantAdded", "Identity": "bob"}
    for _ in range(2):
        made.receive(urlencode(body).encode())
    assert made.calls["CH1"]["onParticipantAdded", "bob"] == 3
    assert [*made.violations([STORED])] == []


def test_request_without_response_may_be_stored_or_not() -> None:
    made = soak()
    made.accepted.clear()
    assert [*made.violations([STORED])] == []
    made.calls.clear()
    assert [*made.violations([])] == []


def test_without_the_webhook_header_only_the_new_state_is_called() -> None:
    assert WANTED._replace(notifies=False).calls == {("onConversationStateUpdated", "active")}
    assert len(WANTED.calls) == 4


def test_requests_depend_only_on_the_seed() -> None:
    one, same, other = ([Soak(Random(seed)).next_request() for _ in range(1)] for seed in (1, 1, 2))
    assert one == same != other
