"""Packing stores common values of events or participants only once. Unpacking restores them (storage/packing.py)."""

from __future__ import annotations

from datetime import UTC, datetime

from hypothesis import given
from hypothesis import strategies as st

from convoke.domain.events import Change, Event, EventType, Subject, participants_added
from convoke.domain.participants import Participant
from convoke.domain.provisioning import Provisioning
from convoke.storage.events import change_write
from convoke.storage.items import provisioning_item
from convoke.storage.packing import pack_change, pack_provisioning, unpack_change, unpack_provisioning

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
def test_packed_events_are_unpacked_unchanged(events: list[Event]) -> None:
    change = Change(sid="EV", account_sid="AC", conversation_sid="CH", events=tuple(events), notify_webhooks=True)
    assert unpack_change(pack_change(change)) == change


MEMBERS = st.builds(
    Participant,
    account_sid=WORDS,
    conversation_sid=WORDS,
    sid=WORDS,
    identity=st.none() | WORDS,
    attributes=WORDS,
    date_created=st.just(MOMENT),
    date_updated=st.sampled_from([MOMENT, MOMENT.replace(year=2027)]),
)


@given(st.lists(MEMBERS, max_size=4))
def test_packed_participants_are_unpacked_unchanged(members: list[Participant]) -> None:
    provisioning = request_of(members)
    assert unpack_provisioning(pack_provisioning(provisioning)) == provisioning


def test_provisioning_stored_without_packing_is_read() -> None:
    provisioning = request_of(ten_members())
    assert unpack_provisioning(provisioning.model_dump(mode="json", exclude_none=True)) == provisioning


def test_change_with_ten_participants_packs_into_less_than_2500_characters() -> None:
    subject = Subject("AC" + "0" * 32, "IS" + "0" * 32, "CH" + "0" * 32)
    change = participants_added("EV" + "0" * 32, subject, ten_members(), at=MOMENT, notify_webhooks=False)
    assert len(str(change_write(change).item)) < 2500
    assert len(str(change.model_dump(mode="json"))) > 6000


def test_provisioning_of_ten_participants_packs_into_less_than_2000_characters() -> None:
    provisioning = request_of(ten_members())
    assert len(str(provisioning_item(provisioning))) < 2000
    assert len(str(provisioning.model_dump(mode="json"))) > 4000


def request_of(members: list[Participant]) -> Provisioning:
    return Provisioning(
        account_sid="AC" + "0" * 32,
        chat_service_sid="IS" + "0" * 32,
        conversation_sid="CH" + "0" * 32,
        participants=tuple(members),
        added_change_sid="EV" + "0" * 32,
        state_change_sid="EV" + "1" * 32,
        alert_sid="NO" + "0" * 32,
        date_created=MOMENT,
    )


def ten_members() -> list[Participant]:
    return [
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
