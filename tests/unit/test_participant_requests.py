"""Convoke parses and applies updates of participants (domain/participant_requests.py)."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from convoke.domain.addresses import Channel
from convoke.domain.participant_requests import ParticipantChange
from convoke.domain.participants import MessagingBinding, Participant

NOON = datetime(2026, 1, 2, 12, tzinfo=UTC)
LATER = NOON + timedelta(hours=1)

PHONE, PROXY, NUMBER = "+15558675310", "+15017122661", "+15017122662"

PROXY_FIELD, PROJECTED_FIELD = "messaging_binding_proxy_address", "messaging_binding_projected_address"


def participant(identity: str | None = None, type: Channel = Channel.SMS, **binding: Any) -> Participant:  # noqa: A002
    return Participant(
        account_sid="AC" + "0" * 32,
        conversation_sid="CH" + "0" * 32,
        sid="MB" + "0" * 32,
        identity=identity,
        messaging_binding=MessagingBinding(type=type, **binding) if binding else None,
        date_created=NOON,
        date_updated=NOON,
    )


CHAT = participant("alice")
SMS = participant(address=PHONE, proxy_address=PROXY)
EMAIL = participant(type=Channel.EMAIL, address="a@example.com")
GROUP_PHONE = participant(address=PHONE)
BUSINESS = participant(projected_address=PROXY)
MASKED = participant("alice", projected_address=PROXY)


@pytest.mark.parametrize(
    ("before", "change", "codes"),
    [
        (BUSINESS, {"identity": "bob"}, []),
        (CHAT, {"identity": "bob"}, [50444]),
        (SMS, {"identity": "bob"}, [50444]),
        (SMS, {PROXY_FIELD: NUMBER}, [50441]),
        (SMS, {PROXY_FIELD: PROXY}, [50441]),
        (SMS, {PROXY_FIELD: "null"}, []),
        (GROUP_PHONE, {PROXY_FIELD: PHONE}, [50409]),
        (GROUP_PHONE, {PROXY_FIELD: "whatsapp:" + NUMBER}, [50414]),
        (GROUP_PHONE, {PROXY_FIELD: PROXY}, []),
        (CHAT, {PROXY_FIELD: PROXY}, [50441]),
        (GROUP_PHONE, {PROXY_FIELD: "null"}, [50440]),
        (CHAT, {PROJECTED_FIELD: PROXY}, []),
        (MASKED, {PROJECTED_FIELD: NUMBER}, []),
        (MASKED, {PROJECTED_FIELD: "null"}, []),
        (SMS, {PROJECTED_FIELD: PROXY}, [50443]),
        (CHAT, {PROJECTED_FIELD: "null"}, [50442]),
        (BUSINESS, {PROJECTED_FIELD: "null"}, [50204]),
    ],
)
def test_update_reports_what_the_participant_does_not_allow(
    before: Participant, change: dict[str, str], codes: list[int]
) -> None:
    assert [problem.code for problem in ParticipantChange.model_validate(change).problems(before)] == codes


def test_setting_a_proxy_address_of_an_email_participant_is_rejected() -> None:
    (problem,) = ParticipantChange.model_validate({PROXY_FIELD: PROXY}).problems(EMAIL)
    assert (problem.code, problem.field) == (50453, ("messaging_binding", "proxy_address"))


def test_update_changes_only_the_given_fields() -> None:
    after = ParticipantChange.model_validate({"attributes": '{"a": 1}'}).applied_to(MASKED, LATER)
    assert after == MASKED.model_copy(update={"attributes": '{"a": 1}', "date_updated": LATER})


def test_removing_the_projected_address_makes_a_chat_participant() -> None:
    after = ParticipantChange.model_validate({PROJECTED_FIELD: "null"}).applied_to(MASKED, LATER)
    assert (after.identity, after.messaging_binding) == ("alice", None)


def test_null_removes_the_read_position() -> None:
    read = ParticipantChange.model_validate({"last_read_message_index": "7"}).applied_to(CHAT, LATER)
    unread = ParticipantChange.model_validate({"last_read_message_index": "null"}).applied_to(read, LATER)
    assert (read.last_read_message_index, unread.last_read_message_index) == (7, None)


@pytest.mark.parametrize(
    ("given", "now", "expected"),
    [
        (None, LATER, LATER),
        (None, NOON - timedelta(days=1), NOON),
        ("2020-01-01T00:00:00Z", LATER, NOON),
        ("2027-01-01T00:00:00Z", LATER, datetime(2027, 1, 1, tzinfo=UTC)),
    ],
)
def test_date_updated_of_a_participant_never_decreases(given: str | None, now: datetime, expected: datetime) -> None:
    change = {"attributes": "{}"} | ({"date_updated": given} if given else {})
    assert ParticipantChange.model_validate(change).applied_to(CHAT, now).date_updated == expected
