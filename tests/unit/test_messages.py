"""The author and the body of a message follow rules. Message SIDs sort by message index (domain/messages.py).

Further tests store and read the media of a message.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from convoke.domain.addresses import Channel
from convoke.domain.errors import AuthorNotInGroupError, ConversationsError, MessageTooLongError
from convoke.domain.media import MessageMedia
from convoke.domain.messages import Message, check_body_length_outside_chat, check_group_author, find_author
from convoke.domain.participants import MessagingBinding, Participant
from convoke.domain.sids import Prefix, SidFactory, is_sid, sid_with_index
from convoke.storage import items
from convoke.storage.table import Item, Key, Value

NOON = datetime(2026, 1, 2, 12, tzinfo=UTC)

PHONE, PROXY, NUMBER = "+15558675310", "+15017122661", "+15017122662"


def member(identity: str | None = None, type: Channel = Channel.SMS, **binding: Any) -> Participant:  # noqa: A002
    return Participant(
        account_sid="AC" + "0" * 32,
        conversation_sid="CH" + "0" * 32,
        sid="MB" + "0" * 32,
        identity=identity,
        messaging_binding=MessagingBinding(type=type, **binding) if binding else None,
        date_created=NOON,
        date_updated=NOON,
    )


CHAT = member("alice")
SMS = member(address=PHONE, proxy_address=PROXY)
EMAIL = member(type=Channel.EMAIL, address="a@example.com")
IN_GROUP = member(address=PHONE)
MASKED = member("bob", projected_address=NUMBER)
STANDALONE = member(projected_address=PROXY)


@given(st.lists(st.integers(0, 16**12 - 1), min_size=2, max_size=2, unique=True))
def test_message_sids_sort_by_message_index(indexes: list[int]) -> None:
    make = SidFactory()
    sids = {index: sid_with_index(make(Prefix.MESSAGE), index) for index in indexes}
    assert all(is_sid(sid, Prefix.MESSAGE) for sid in sids.values())
    assert sorted(sids.values()) == [sids[index] for index in sorted(indexes)]


def test_message_sids_with_the_same_index_are_unique() -> None:
    make = SidFactory()
    assert len({sid_with_index(make(Prefix.MESSAGE), 0) for _ in range(1000)}) == 1000


@pytest.mark.parametrize(
    ("author", "found"),
    [
        ("alice", CHAT),
        (PHONE, IN_GROUP),
        ("bob", MASKED),
        (PROXY, STANDALONE),
        (NUMBER, None),
        ("Alice", None),
        ("system", None),
        ("", None),
    ],
)
def test_author_is_found_by_identity_address_or_projected_address(author: str, found: Participant | None) -> None:
    assert find_author([CHAT, IN_GROUP, MASKED, STANDALONE], author) is found


def problem(author: str, body: str | None, *members: Participant) -> type[ConversationsError] | None:
    try:
        check_group_author(members, author)
        check_body_length_outside_chat(members, body)
    except ConversationsError as error:
        return type(error)
    return None


@pytest.mark.parametrize("outside", [SMS, EMAIL, IN_GROUP])
def test_one_participant_outside_chat_limits_the_body_to_1600_characters(outside: Participant) -> None:
    author = next(iter(outside.author_names))
    assert problem(author, "x" * 1600, CHAT, outside) is None
    assert problem(author, "x" * 1601, CHAT, outside) is MessageTooLongError
    assert problem("alice", "x" * 1601, CHAT) is None
    assert problem("alice", None, CHAT, outside if outside is not IN_GROUP else SMS) is None


@pytest.mark.parametrize("member_of_group", [IN_GROUP, MASKED, STANDALONE])
def test_author_in_a_group_mms_must_be_a_participant(member_of_group: Participant) -> None:
    assert problem("nobody", "x", CHAT, SMS, EMAIL) is None
    assert problem("nobody", "x", SMS, member_of_group) is AuthorNotInGroupError
    assert problem(PHONE, "x", SMS, member_of_group) is None


STORED: Item = {
    "account_sid": "AC" + "0" * 32,
    "conversation_sid": "CH" + "0" * 32,
    "sid": "IM" + "0" * 32,
    "index": 0,
    "author": "alice",
    "date_created": "2026-01-02T12:00:00.000Z",
    "date_updated": "2026-01-02T12:00:00.000Z",
}
"""The attributes that every version of Convoke stores for a message without media."""

KEY = Key("AC1", "message")


def test_old_item_with_media_sid_is_a_message_with_one_media() -> None:
    message = items.to_resource(Message, {**STORED, "media_sid": "ME" + "1" * 32})
    assert message.media == (MessageMedia(sid="ME" + "1" * 32),)
    # Old items have the attribute `media_sid`. An update stores the media in the new form instead.
    assert items.to_item(KEY, message) == {
        **KEY._asdict(),
        **STORED,
        "attributes": "{}",
        "media": [{"sid": "ME" + "1" * 32}],
    }


def test_message_without_media_stores_no_media() -> None:
    assert "media" not in items.to_item(KEY, items.to_resource(Message, dict(STORED)))


def test_stored_media_keep_their_details() -> None:
    media: list[Value] = [
        {"sid": "ME" + digit * 32, "content_type": "image/png", "size": 3, "filename": "a.png"} for digit in "12"
    ]
    message = items.to_resource(Message, {**STORED, "media": media})
    assert items.to_item(KEY, message)["media"] == media
