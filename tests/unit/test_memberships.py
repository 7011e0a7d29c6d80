"""A conversation can have only a limited number of participants. An SMS participant needs a Messaging Service.

The tests call the domain code directly, because creating so many participants through the API would be too slow.
"""

from __future__ import annotations

from convoke.domain.addresses import Channel
from convoke.domain.conversations import Conversation, State
from convoke.domain.instants import now
from convoke.domain.memberships import membership_problems
from convoke.domain.participants import MessagingBinding, Participant

MESSAGING_SERVICE = "MG" + "0" * 32


def conversation(messaging_service_sid: str | None = MESSAGING_SERVICE) -> Conversation:
    return Conversation(
        account_sid="AC" + "0" * 32,
        chat_service_sid="IS" + "0" * 32,
        sid="CH" + "0" * 32,
        messaging_service_sid=messaging_service_sid,
        state=State.ACTIVE,
        date_created=now(),
        date_updated=now(),
    )


def member(number: int, binding: MessagingBinding | None = None) -> Participant:
    return Participant(
        account_sid="AC" + "0" * 32,
        conversation_sid="CH" + "0" * 32,
        sid=f"MB{number:032}",
        identity=None if binding else str(number),
        messaging_binding=binding,
        date_created=now(),
        date_updated=now(),
    )


def sms(number: int) -> Participant:
    binding = MessagingBinding(type=Channel.SMS, address=f"+1555867{number:04}", proxy_address="+15017122661")
    return member(number, binding)


def problems(before: Conversation, joining: Participant) -> list[int]:
    return [problem.code for problem in membership_problems(before, before.with_participants(joining), joining)]


def test_1001st_participant_is_rejected() -> None:
    standing = conversation().with_participants(*map(member, range(999)))
    assert problems(standing, member(999)) == []
    assert problems(standing.with_participants(member(999)), member(1000)) == [50417]


def test_51st_participant_with_a_binding_is_rejected() -> None:
    standing = conversation().with_participants(member(1000), *map(sms, range(49)))
    assert problems(standing, sms(49)) == []
    full = standing.with_participants(sms(49))
    assert problems(full, sms(50)) == [50418]
    assert problems(full, member(1001)) == []


def test_participant_of_a_full_conversation_can_be_updated() -> None:
    standing = conversation().with_participants(*map(sms, range(50)))
    after = standing.with_changed_participant(sms(49))
    assert [*membership_problems(standing, after, sms(49))] == []


def test_sms_participant_without_a_messaging_service_is_rejected() -> None:
    assert problems(conversation(None), member(1)) == []
    assert problems(conversation(None), sms(1)) == [50373]
