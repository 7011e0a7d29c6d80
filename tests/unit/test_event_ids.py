"""An event id is a time. Each new event id of an item is greater than the item's last id (domain/event_ids.py)."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from convoke.domain.conversations import Conversation, State
from convoke.domain.event_ids import event_id_of_sid, to_event_id, to_moment
from convoke.domain.events import Change, Origin, Subject, participants_added
from convoke.domain.messages import Message
from convoke.domain.participants import Participant
from convoke.domain.users import User

ACCOUNT, SERVICE, CONVERSATION = "AC" + "0" * 32, "IS" + "0" * 32, "CH" + "0" * 32
MOMENT = datetime(2026, 1, 2, 3, 4, 5, 678_000, tzinfo=UTC)

MOMENTS = st.integers(0, 10**12).map(lambda milliseconds: MOMENT + timedelta(milliseconds=milliseconds))


def change_at(moment: datetime, made_at: datetime) -> Change:
    """Return a change whose events occurred at `moment`. The change's SID contains the time `made_at`."""
    sid = f"EV{to_event_id(made_at) // 1000:012x}{'0' * 20}"
    participant = participant_of(moment)
    subject = Subject(ACCOUNT, SERVICE, CONVERSATION)
    return participants_added(sid, subject, [participant], at=moment, origin=Origin(notify_webhooks=False))


def participant_of(moment: datetime, **fields: object) -> Participant:
    return Participant.model_validate(
        {
            "account_sid": ACCOUNT,
            "conversation_sid": CONVERSATION,
            "sid": "MB" + "0" * 32,
            "identity": "alice",
            "date_created": moment,
            "date_updated": moment,
            **fields,
        }
    )


@given(MOMENTS)
def test_event_id_is_the_time_in_microseconds(moment: datetime) -> None:
    assert to_event_id(moment) == round(moment.timestamp() * 1_000_000)
    assert to_moment(to_event_id(moment)) == moment


@given(MOMENTS, MOMENTS)
def test_event_id_uses_the_later_of_the_event_time_and_the_sid_time(moment: datetime, made_at: datetime) -> None:
    """Convoke reads `moment` before a pre-event, and creates the SID after the pre-event.

    Therefore the time in the SID is usually the later time. With a test clock, `moment` can be the later time.
    """
    assert change_at(moment, made_at).last_event_id == max(to_event_id(moment), to_event_id(made_at))


@given(MOMENTS, st.lists(st.integers(0, 10**17), min_size=1, max_size=3))
def test_event_id_is_greater_than_all_earlier_ids(moment: datetime, earlier: list[int]) -> None:
    change = change_at(moment, moment).following(*earlier)
    assert change.last_event_id == max([to_event_id(moment), *(each + 1 for each in earlier)])
    assert change.following(*earlier) == change


def test_event_id_is_stored_only_if_it_does_not_follow_from_the_change() -> None:
    change = change_at(MOMENT, MOMENT)
    assert change.following(to_event_id(MOMENT) - 1).event_id is None
    assert change.following(to_event_id(MOMENT)).event_id == to_event_id(MOMENT) + 1


def test_item_without_an_event_id_has_the_id_of_its_date() -> None:
    """Items of older versions have no event id. Convoke computes the id from the date of the last update."""
    later = MOMENT + timedelta(seconds=1)
    dates = {"date_created": MOMENT, "date_updated": later, "account_sid": ACCOUNT, "sid": CONVERSATION}
    conversation = Conversation.model_validate({**dates, "chat_service_sid": SERVICE, "state": "active"})
    message = Message.model_validate({**dates, "conversation_sid": CONVERSATION, "index": 0, "author": "a"})
    user = User.model_validate({**dates, "chat_service_sid": SERVICE, "identity": "alice", "role_sid": "RL" + "0" * 32})
    expected = to_event_id(later)
    assert conversation.last_event_id == message.last_event_id == user.last_event_id == expected
    assert participant_of(MOMENT, date_updated=later).last_event_id == expected
    assert message.first_event_id == expected
    assert conversation.date_state_updated == MOMENT
    assert conversation.messages == 0


def test_end_of_initializing_counts_as_a_change_of_the_conversation() -> None:
    conversation = Conversation(
        account_sid=ACCOUNT,
        chat_service_sid=SERVICE,
        sid=CONVERSATION,
        state=State.ACTIVE,
        date_created=MOMENT,
        date_updated=MOMENT,
        state_event_id=to_event_id(MOMENT) + 5,
    )
    assert conversation.last_event_id == to_event_id(MOMENT) + 5
    assert conversation.date_state_updated == MOMENT + timedelta(microseconds=5)


def test_user_in_place_of_a_tombstone_has_a_greater_event_id_even_if_the_clock_went_back() -> None:
    fields = {"account_sid": ACCOUNT, "chat_service_sid": SERVICE, "sid": "US" + "0" * 32, "identity": "alice"}
    role = {"role_sid": "RL" + "0" * 32}
    earlier = MOMENT - timedelta(hours=1)
    tombstone = User.model_validate(
        {**fields, **role, "date_created": earlier, "date_updated": earlier, "event_id": to_event_id(MOMENT)}
    )
    user = User.model_validate({**fields, **role, "date_created": earlier, "date_updated": earlier})
    assert user.in_place_of(tombstone).last_event_id == to_event_id(MOMENT) + 1


@pytest.mark.parametrize("prefix", ["EV", "MB", "CH"])
def test_event_id_of_a_sid_is_the_time_of_its_creation(prefix: str) -> None:
    assert event_id_of_sid(f"{prefix}{int(MOMENT.timestamp() * 1000):012x}{'f' * 20}") == to_event_id(MOMENT)
