"""What events of a change have in common is stored once, and comes back."""

from __future__ import annotations

from datetime import UTC, datetime

from hypothesis import given
from hypothesis import strategies as st

from convoke.domain.events import Change, Event, EventType, Subject, participants_added
from convoke.domain.participants import Participant
from convoke.storage.changes import recorded
from convoke.storage.packing import packed, unpacked

MOMENT = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)

WORDS = st.sampled_from(["a", "b", ""])

EVENTS = st.builds(
    Event,
    id=WORDS,
    type=st.sampled_from(EventType),
    account_sid=WORDS,
    conversation_sid=WORDS,
    occurred_at=st.sampled_from([MOMENT, MOMENT.replace(year=2027)]),
    payload=st.dictionaries(st.sampled_from(["EventType", "Identity", "payload", "id"]), WORDS),
    webhooks=st.booleans(),
)


@given(st.lists(EVENTS, max_size=4))
def test_whatever_is_packed_comes_back(events: list[Event]) -> None:
    change = Change(sid="EV", account_sid="AC", conversation_sid="CH", events=tuple(events), webhooks=True)
    assert unpacked(packed(change)) == change


def test_ten_members_cost_less_than_two_kilobytes() -> None:
    members = [
        Participant(
            account_sid="AC" + "0" * 32,
            conversation_sid="CH" + "0" * 32,
            sid=f"MB{number:032}",
            identity=f"member {number}",
            role_sid="RL" + "0" * 32,
            date_created=MOMENT,
            date_updated=MOMENT,
        )
        for number in range(10)
    ]
    subject = Subject("AC" + "0" * 32, "IS" + "0" * 32, "CH" + "0" * 32)
    change = participants_added("EV" + "0" * 32, subject, members, at=MOMENT, webhooks=False)
    assert len(str(recorded(change).item)) < 2500
    assert len(str(change.model_dump(mode="json"))) > 6000
