"""Convoke recognizes group messages, keywords and answers among inbound messages (domain/inbound_messages.py)."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from convoke.domain.addresses import Channel
from convoke.domain.conversations import Conversation, State
from convoke.domain.events import Source
from convoke.domain.inbound_messages import InboundMessage, Keyword, can_answer_in, is_open
from convoke.domain.participants import BoundMember, MessagingBinding
from convoke.domain.senders import Provider
from tests.support.phones import BUSINESS, OTHER_PHONE, PHONE

NOW = datetime(2026, 1, 2, tzinfo=UTC)


def inbound(
    body: str | None = "Hello", *others: str, sender: str = PHONE, business_address: str = BUSINESS
) -> InboundMessage:
    return InboundMessage(
        sender=sender,
        business_address=business_address,
        other_receivers=others,
        body=body,
        provider=Provider.SIMULATED,
        provider_message_id="SM1",
    )


def member(number: int, **binding: str) -> BoundMember:
    return BoundMember(sid=f"MB{number:032}", messaging_binding=MessagingBinding(type=Channel.SMS, **binding))


def conversation(*members: BoundMember, state: State = State.ACTIVE) -> Conversation:
    return Conversation(
        account_sid="AC" + "0" * 32,
        chat_service_sid="IS" + "0" * 32,
        sid="CH" + "0" * 32,
        state=state,
        date_created=NOW,
        date_updated=NOW,
        bound=members,
    )


GROUP = (member(1, address=PHONE), member(2, address=OTHER_PHONE), member(3, projected_address=BUSINESS))


def test_message_to_several_receivers_is_a_group_message() -> None:
    assert not inbound().is_group
    message = inbound("Hello", OTHER_PHONE)
    assert message.is_group
    assert message.numbers == {PHONE, OTHER_PHONE, BUSINESS}


@pytest.mark.parametrize(
    ("sender", "business", "source"),
    [
        (PHONE, BUSINESS, Source.SMS),
        (f"whatsapp:{PHONE}", f"whatsapp:{BUSINESS}", Source.WHATSAPP),
        (f"rcs:{PHONE}", f"rcs:{BUSINESS}", Source.SMS),
    ],
)
def test_source_of_events_is_the_channel(sender: str, business: str, source: Source) -> None:
    assert inbound(sender=sender, business_address=business).source is source


@pytest.mark.parametrize(
    ("body", "keyword"),
    [
        *((word, Keyword.STOP) for word in ("STOP", "stop ", "\tStopAll\n", "UNSUBSCRIBE", "cancel", "End", "quit")),
        *((word, Keyword.START) for word in ("Start", "UNSTOP", "yes")),
        *((word, Keyword.HELP) for word in ("help", "INFO")),
        *((other, None) for other in ("stop it", "please stop", "STOP.", "", None)),
    ],
)
def test_only_a_whole_text_is_a_keyword(body: str | None, keyword: Keyword | None) -> None:
    assert inbound(body).keyword is keyword


@pytest.mark.parametrize("state", State)
def test_only_active_and_inactive_conversations_are_open(state: State) -> None:
    assert is_open(conversation(state=state)) is (state in (State.ACTIVE, State.INACTIVE))


def test_member_answers_to_the_business_number_of_the_group() -> None:
    assert can_answer_in(conversation(*GROUP), inbound())
    assert can_answer_in(conversation(*GROUP, state=State.INACTIVE), inbound())


@pytest.mark.parametrize(
    ("members", "state", "sender", "business"),
    [
        (GROUP, State.CLOSED, PHONE, BUSINESS),
        (GROUP[1:], State.ACTIVE, PHONE, BUSINESS),
        (GROUP, State.ACTIVE, PHONE, "+15017122662"),
        ((member(1, address=PHONE, proxy_address="+15017122662"), *GROUP[1:]), State.ACTIVE, PHONE, BUSINESS),
    ],
    ids=["closed", "the sender has left", "another business number", "one-to-one member"],
)
def test_nobody_answers_in_another_conversation(
    members: tuple[BoundMember, ...], state: State, sender: str, business: str
) -> None:
    message = inbound(sender=sender, business_address=business)
    assert not can_answer_in(conversation(*members, state=state), message)


def test_participants_of_a_new_conversation() -> None:
    (alone,) = inbound().participants()
    assert alone.pair == (PHONE, BUSINESS)
    *phones, business = inbound("Hello", OTHER_PHONE).participants()
    assert [phone.group_address for phone in phones] == [PHONE, OTHER_PHONE]
    assert (business.projected_address, business.identity) == (BUSINESS, None)
