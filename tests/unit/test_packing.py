"""Packing stores the common values of events or participants only once (storage/packing.py)."""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

from boto3.dynamodb.types import TypeSerializer
from hypothesis import given
from hypothesis import strategies as st

from convoke.domain.addresses import Channel
from convoke.domain.events import Change, Event, EventType, Origin, Subject, participants_added
from convoke.domain.participants import MessagingBinding, Participant
from convoke.domain.provisioning import Provisioning
from convoke.domain.users import User
from convoke.storage.events import change_write
from convoke.storage.items import provisioning_item
from convoke.storage.packing import pack_change, unpack_change, unpack_provisioning
from convoke.storage.table import Item
from tests.benchmarks.aws_calls import size

MOMENT = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)

STORED_BEFORE_0121 = Path(__file__).parent / "stored/before_0121.json"

CHANGE_SID = "EV" + "0" * 32

SUBJECT = Subject("AC" + "0" * 32, "IS" + "0" * 32, "CH" + "0" * 32)

CHAT_IDENTITIES = [f"member {number}" for number in range(10)]

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
    assert unpack_provisioning(provisioning_item(provisioning)) == provisioning


def test_provisioning_stored_without_packing_is_read() -> None:
    provisioning = request_of(ten_members())
    keys = {name: provisioning_item(provisioning)[name] for name in ("pk", "sk")}
    assert unpack_provisioning({**keys, **provisioning.model_dump(mode="json", exclude_none=True)}) == provisioning


def test_items_of_the_version_before_decision_0121_are_read() -> None:
    """An older version of Convoke stored these items. The items contain every id and every SID in full."""
    stored = json.loads(STORED_BEFORE_0121.read_text())
    chat, other, sms = ten_members()[:3]
    binding = MessagingBinding(type=Channel.SMS, address="+15558675310", proxy_address="+15017122661")
    members = [chat, other, sms.model_copy(update={"identity": None, "messaging_binding": binding})]
    assert unpack_provisioning(stored["provisioning"]) == request_of(members)
    change = participants_added(
        CHANGE_SID, SUBJECT, members, [user_of(chat)], at=MOMENT, origin=Origin(notify_webhooks=True)
    )
    assert unpack_change(stored["change"]) == change


def test_event_of_an_earlier_change_keeps_its_id() -> None:
    """The change record of a deletion also contains unpublished events of earlier changes.

    The ids of these events do not follow from their positions in the record, so the record must contain the ids.
    """
    change = participants_added(CHANGE_SID, SUBJECT, ten_members()[:2], at=MOMENT, origin=Origin(notify_webhooks=False))
    first, second = change.events
    change = change.model_copy(update={"events": (second, first)})
    assert unpack_change(pack_change(change)) == change


def test_event_ids_that_follow_from_the_position_are_not_stored() -> None:
    change = participants_added(CHANGE_SID, SUBJECT, ten_members(), at=MOMENT, origin=Origin(notify_webhooks=False))
    assert unpack_change(pack_change(change)) == change
    assert '"id"' not in json.dumps(pack_change(change))


def size_in_bytes(item: Item) -> int:
    """Return the size of an item by DynamoDB's rules.

    tests/benchmarks/aws_calls.py computes the sizes of the values.
    """
    serialized = TypeSerializer().serialize(item)["M"]
    return sum(len(name.encode()) + size(value) for name, value in serialized.items())


UUIDS = [f"{number:08}-0000-4000-8000-{number:012}"[::-1] for number in range(10)]
"""Identities of 36 characters without a common prefix. Packing cannot shorten these identities."""


def test_change_with_ten_uuids_as_identities_takes_less_than_two_kilobytes() -> None:
    change = participants_added(
        CHANGE_SID, SUBJECT, ten_members(UUIDS), at=MOMENT, origin=Origin(notify_webhooks=False)
    )
    assert size_in_bytes(change_write(change).item) <= 2048


def test_provisioning_of_ten_uuids_takes_less_than_one_kilobyte_until_it_ends() -> None:
    """The test measures the record after the update to the status `added`. Before, the record is slightly smaller.

    DynamoDB charges an update by the size of the old item or of the new item, whichever is larger.
    """
    provisioning = request_of(ten_members(UUIDS))
    assert size_in_bytes(provisioning_item(provisioning.added(MOMENT))) <= 1024


def user_of(member: Participant) -> User:
    return User(
        sid="US" + "0" * 32,
        account_sid=member.account_sid,
        chat_service_sid=SUBJECT.chat_service_sid,
        identity=str(member.identity),
        role_sid="RL" + "0" * 32,
        date_created=MOMENT,
        date_updated=MOMENT,
    )


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


def ten_members(identities: Sequence[str] = CHAT_IDENTITIES) -> list[Participant]:
    return [
        Participant(
            account_sid="AC" + "0" * 32,
            conversation_sid="CH" + "0" * 32,
            # The SID contains the time, a counter and random digits.
            sid=f"MB01a2228d786e{number:04x}{str(number) * 16}",
            identity=identity,
            role_sid="RL" + "0" * 32,
            date_created=MOMENT,
            date_updated=MOMENT,
        )
        for number, identity in enumerate(identities)
    ]
