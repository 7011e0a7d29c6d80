"""Clients create, fetch, list, update and delete messages. See docs/behaviour/messages.md."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any

import pytest
from twilio.base.exceptions import TwilioException

from tests.api.test_conversations import shown
from tests.support.examples import CHAT_AND_SMS, GROUP_MMS, chat, group_mms, sms
from tests.support.instances import ORIGIN, Instance, refusal
from tests.support.manual_clock import ManualClock
from tests.support.media import media_sid

CONTENT = "HX" + "0" * 32


def conversation_of(instance: Instance, members: list[str], **parameters: Any) -> Any:
    """Create a conversation and wait until its participants are added. Return the SDK's conversation context."""
    v1 = instance.client().conversations.v1
    sid = v1.conversation_with_participants.create(participant=members, **parameters).sid
    instance.work()
    return v1.conversations(sid)


def test_response_has_expected_fields(instance: Instance) -> None:
    conversation = conversation_of(instance, CHAT_AND_SMS)
    path = f"/v1/Conversations/{conversation.fetch().sid}/Messages"
    answered = instance.call("POST", path, {"Author": "alice", "Body": "Hello"})
    assert answered.status == 201
    (stored,) = instance.items("message#")
    members = {member.identity: member.sid for member in conversation.participants.list()}
    url = f"{ORIGIN}{path}/{stored['sid']}"
    expected = {
        "account_sid": instance.account.sid,
        "conversation_sid": conversation.fetch().sid,
        "sid": stored["sid"],
        "index": 0,
        "author": "alice",
        "body": "Hello",
        "media": None,
        "attributes": "{}",
        "participant_sid": members["alice"],
        "date_created": f"{stored['date_created'][:19]}Z",
        "date_updated": f"{stored['date_created'][:19]}Z",
        "url": url,
        "delivery": {
            "total": 1,
            "sent": "none",
            "delivered": "none",
            "read": "none",
            "failed": "none",
            "undelivered": "none",
        },
        "links": {"delivery_receipts": f"{url}/Receipts", "channel_metadata": None},
        "content_sid": None,
    }
    assert answered.body == expected
    assert list(answered.body) == list(expected)
    for again in (f"{path}/{stored['sid']}", f"{path}/IM{stored['sid'][2:].upper()}"):
        assert instance.call("GET", again).body == expected
    assert instance.call("POST", f"{path}/{stored['sid']}").body == expected


@pytest.mark.each_engine
def test_create_returns_every_parameter(instance: Instance) -> None:
    conversation, picture = conversation_of(instance, chat(1)), media_sid(instance)
    created = conversation.messages.create(
        author="member 0",
        body="Hello 🙂",
        date_created=datetime(2020, 1, 1, tzinfo=UTC),
        date_updated=datetime(2020, 2, 1, tzinfo=UTC),
        attributes='{ "importance": "high" }',
        media_sid=picture,
        subject="Visit",
    )
    assert (created.author, created.body, created.attributes) == ("member 0", "Hello 🙂", '{ "importance": "high" }')
    assert (created.date_created.year, created.date_updated.month) == (2020, 2)
    assert [each["sid"] for each in created.media] == [picture]
    assert instance.items("message#")[0]["subject"] == "Visit"
    assert shown(conversation.messages(created.sid).fetch()) == shown(created)


def test_message_without_participant_author_has_no_participant_sid(instance: Instance) -> None:
    conversation = conversation_of(instance, CHAT_AND_SMS)
    for parameters in ({"body": "Hello"}, {"body": "Hello", "author": ""}, {"body": "Hello", "author": "unknown"}):
        created = conversation.messages.create(**parameters)
        assert (created.author, created.participant_sid) == (parameters.get("author") or "system", None)
    from_phone = conversation.messages.create(body="Hello", author="+15558675310")
    phone = next(member for member in conversation.participants.list() if member.messaging_binding)
    assert from_phone.participant_sid == phone.sid


def test_back_dated_message_has_same_date_updated(instance: Instance) -> None:
    created = conversation_of(instance, chat(1)).messages.create(
        body="Hello", date_created=datetime(2020, 1, 1, tzinfo=UTC)
    )
    assert created.date_updated == created.date_created == datetime(2020, 1, 1, tzinfo=UTC)


def test_content_template_replaces_body_and_media(instance: Instance) -> None:
    created = conversation_of(instance, CHAT_AND_SMS).messages.create(
        body="x" * 1601, media_sid="ME" + "0" * 32, content_sid=CONTENT, content_variables='{"1": "Alice"}'
    )
    assert (created.body, created.media, created.content_sid) == (None, None, CONTENT)
    assert instance.items("message#")[0]["content_variables"] == '{"1": "Alice"}'


LONG_KEY, LONG_VALUE = json.dumps({"k" * 17: "v"}), json.dumps({"k": "v" * 257})

REFUSED: dict[str, tuple[dict[str, str], int]] = {
    "nothing": ({}, 50503),
    "empty body": ({"Body": ""}, 50503),
    "attributes that are too long": ({"Body": "x", "Attributes": json.dumps("x" * 4096)}, 50303),
    "attributes that are no JSON": ({"Body": "x", "Attributes": "text"}, 50304),
    "author": ({"Body": "x", "Author": "x" * 257}, 50310),
    "subject": ({"Body": "x", "Subject": "x" * 257}, 20001),
    "date of creation": ({"Body": "x", "DateCreated": "tomorrow"}, 50308),
    "date of update": ({"Body": "x", "DateUpdated": "tomorrow"}, 50309),
    "empty media": ({"MediaSid": ""}, 50506),
    "media": ({"MediaSid": "MM" + "0" * 32}, 50510),
    "template": ({"ContentSid": "HX0"}, 50526),
    "variables that are no JSON": ({"ContentSid": CONTENT, "ContentVariables": "text"}, 50527),
    "variables that are no texts": ({"ContentSid": CONTENT, "ContentVariables": '{"1": 1}'}, 50527),
    "variables without a template": ({"Body": "x", "ContentVariables": '{"1": "x"}'}, 50528),
    "variables that are too long": ({"ContentSid": CONTENT, "ContentVariables": "{" + " " * 27_800 + "}"}, 50529),
    "key of a variable": ({"ContentSid": CONTENT, "ContentVariables": LONG_KEY}, 50540),
    "value of a variable": ({"ContentSid": CONTENT, "ContentVariables": LONG_VALUE}, 50541),
    "too many variables": (
        {"ContentSid": CONTENT, "ContentVariables": json.dumps({str(key): "" for key in range(101)})},
        50542,
    ),
    "body": ({"Body": "x" * (32 * 1024 + 1)}, 50504),
    "body by its bytes": ({"Body": "é" * (16 * 1024 + 1)}, 50504),
}


def test_refused_message_stores_nothing(instance: Instance) -> None:
    path = f"/v1/Conversations/{conversation_of(instance, chat(1)).fetch().sid}/Messages"
    before = instance.items("")
    for parameters, code in REFUSED.values():
        refused = instance.call("POST", path, parameters)
        assert (refused.status, refused.body["code"]) == (400, code)
    header = instance.call("POST", path, {}, {"X-Twilio-Webhook-Enabled": "maybe"})
    assert (header.status, header.body["code"]) == (400, 20001)
    assert instance.items("") == before


@pytest.mark.each_engine
def test_longest_allowed_values_are_accepted(instance: Instance) -> None:
    variables = {f"{key:016}": "v" * 256 for key in range(100)}
    created = conversation_of(instance, chat(1)).messages.create(
        author="x" * 256,
        body="x" * (32 * 1024),
        attributes=json.dumps("x" * 4094),
        subject="x" * 256,
    )
    assert (len(created.body), len(created.attributes)) == (32 * 1024, 4096)
    template = {"content_sid": CONTENT, "content_variables": json.dumps(variables, separators=(",", ":"))}
    assert len(template["content_variables"]) == 27_801
    assert conversation_of(instance, chat(1)).messages.create(**template).content_sid == CONTENT


def test_body_is_limited_to_1600_characters_outside_chat(instance: Instance) -> None:
    conversation = conversation_of(instance, CHAT_AND_SMS)
    sid = conversation.messages.create(body="é" * 1600).sid
    assert refusal(partial(conversation.messages.create, body="x" * 1601)).code == 50504
    assert refusal(partial(conversation.messages(sid).update, body="x" * 1601)).code == 50504


@pytest.mark.each_engine
@pytest.mark.parametrize("named", ["sid", "unique name"])
def test_list_runs_in_both_orders_and_pages_back(instance: Instance, named: str) -> None:
    made = conversation_of(instance, chat(1), unique_name="team / 🙂").fetch()
    conversation = instance.client().conversations.v1.conversations(made.sid if named == "sid" else "team")
    if named == "unique name":
        instance.client().conversations.v1.conversations(made.sid).update(unique_name="team")
    for number in range(5):
        assert conversation.messages.create(body=str(number)).index == number
    for order, bodies in ((None, "01234"), ("asc", "01234"), ("desc", "43210")):
        asked = {"order": order} if order else {}
        assert "".join(each.body for each in conversation.messages.list(page_size=2, **asked)) == bodies
        first = conversation.messages.page(page_size=2, **asked)
        second = first.next_page()
        assert [each.body for each in second] == list(bodies[2:4])
        back = second.previous_page()
        assert [each.body for each in back] == list(bodies[:2])
        assert back.previous_page() is None
        third = second.next_page()
        assert [each.body for each in third] == list(bodies[4:])
        assert third.next_page() is None
    (newest,) = conversation.messages.list(order="desc", limit=1)
    assert newest.body == "4"


def test_page_urls_keep_order_and_page_tokens_belong_to_it(instance: Instance) -> None:
    conversation = conversation_of(instance, chat(1))
    for number in range(3):
        conversation.messages.create(body=str(number))
    path = f"/v1/Conversations/{conversation.fetch().sid}/Messages"
    listed = instance.call("GET", f"{path}?PageSize=2&Order=DESC").body
    assert [message["index"] for message in listed["messages"]] == [2, 1]
    assert listed["meta"]["key"] == "messages"
    assert listed["meta"]["url"] == f"{ORIGIN}{path}?Order=desc&PageSize=2&Page=0"
    following = listed["meta"]["next_page_url"].removeprefix(ORIGIN)
    assert [message["index"] for message in instance.call("GET", following).body["messages"]] == [0]
    assert instance.call("GET", following.replace("Order=desc", "Order=asc")).body["code"] == 20001
    for wrong in ("up", ""):
        refused = instance.call("GET", f"{path}?Order={wrong}")
        assert (refused.status, refused.body["code"], refused.body["details"]["parameter"]) == (400, 20001, "Order")
    assert instance.call("GET", f"{path}?PageSize=500").body["meta"]["page_size"] == 100
    assert instance.call("GET", path).body["meta"]["page_size"] == 50


@pytest.mark.each_engine
def test_update_returns_every_parameter(instance: Instance) -> None:
    conversation = conversation_of(instance, CHAT_AND_SMS)
    created = conversation.messages.create(body="before")
    updated = conversation.messages(created.sid).update(
        author="alice",
        body="after",
        date_created=datetime(2020, 1, 1, tzinfo=UTC),
        date_updated=datetime(2099, 2, 1, tzinfo=UTC),
        attributes='{"a": 1}',
        subject="Visit",
    )
    alice = next(member for member in conversation.participants.list() if member.identity)
    assert (updated.sid, updated.index, updated.author, updated.body) == (created.sid, 0, "alice", "after")
    assert (updated.participant_sid, updated.attributes) == (alice.sid, '{"a": 1}')
    assert (updated.date_created.year, updated.date_updated.year) == (2020, 2099)
    assert updated.delivery == created.delivery
    assert shown(conversation.messages(created.sid).fetch()) == shown(updated)


@pytest.mark.each_engine
def test_update_keeps_fields_not_given(instance: Instance) -> None:
    conversation = conversation_of(instance, CHAT_AND_SMS)
    created = conversation.messages.create(author="alice", body="Hello", attributes='{"a": 1}')
    updated = conversation.messages(created.sid).update(body="Bye")
    assert (updated.body, updated.author, updated.attributes) == ("Bye", "alice", '{"a": 1}')
    assert (updated.participant_sid, updated.date_created) == (created.participant_sid, created.date_created)
    before = instance.items("")
    path = f"/v1/Conversations/{created.conversation_sid}/Messages/{created.sid}"
    assert instance.call("POST", path, {"Unknown": "x"}).body["body"] == "Bye"
    assert instance.items("") == before


def test_refused_update_stores_nothing(instance: Instance) -> None:
    conversation = conversation_of(instance, chat(1))
    text, picture = (
        conversation.messages.create(body="x").sid,
        conversation.messages.create(media_sid=media_sid(instance)).sid,
    )
    path = f"/v1/Conversations/{conversation.fetch().sid}/Messages"
    before = instance.items("")
    refused: list[tuple[str, dict[str, str], int]] = [
        (text, {"Body": ""}, 50503),
        (text, {"Body": "x" * (32 * 1024 + 1)}, 50504),
        (text, {"Attributes": "text"}, 50304),
        (text, {"Author": "x" * 257}, 50310),
        (picture, {"Body": "x"}, 50509),
    ]
    for sid, parameters, code in refused:
        answered = instance.call("POST", f"{path}/{sid}", parameters)
        assert (answered.status, answered.body["code"]) == (400, code)
    assert instance.items("") == before


@pytest.mark.each_engine
def test_message_index_is_never_reused(instance: Instance) -> None:
    conversation = conversation_of(instance, CHAT_AND_SMS)
    first, last = (conversation.messages.create(body="x").sid for _ in range(2))
    assert conversation.messages(last).delete()
    assert refusal(conversation.messages(last).fetch).code == 20404
    assert refusal(conversation.messages(last).delete).code == 20404
    assert conversation.messages.create(body="x").index == 2
    assert [message.index for message in conversation.messages.list()] == [0, 2]
    assert {receipt["message_sid"] for receipt in instance.items("receipt#")} == {
        message.sid for message in conversation.messages.list()
    }
    assert conversation.messages(first).delete()


# Groups


def test_group_message_author_must_be_participant(instance: Instance) -> None:
    members = [*GROUP_MMS, '{"identity": "alice", "messaging_binding": {"projected_address": "+15017122662"}}']
    conversation = conversation_of(instance, members)
    of_author = {
        member.identity
        or member.messaging_binding.get("address")
        or member.messaging_binding["projected_address"]: member.sid
        for member in conversation.participants.list()
    }
    for author in ("alice", "+15558675310", "+15017122661"):
        assert conversation.messages.create(author=author, body="x").participant_sid == of_author[author]
    shared = conversation.messages.create(author="+15017122662", body="x")
    assert shared.participant_sid is None
    for parameters in ({}, {"author": "system"}, {"author": "bob"}, {"author": "+15558675399"}):
        error = refusal(partial(conversation.messages.create, body="x", **parameters))
        assert (error.status, error.code) == (400, 50513)
    assert refusal(partial(conversation.messages(shared.sid).update, author="bob")).code == 50513
    assert conversation.messages(shared.sid).update(author="alice").participant_sid == of_author["alice"]


# States and timers


@pytest.mark.each_engine
def test_initializing_conversation_refuses_messages(instance: Instance) -> None:
    v1 = instance.client().conversations.v1
    sid = v1.conversation_with_participants.create(participant=CHAT_AND_SMS).sid
    refused = instance.call("POST", f"/v1/Conversations/{sid}/Messages", {"Body": "x"})
    assert (refused.status, refused.body["code"], refused.headers["Retry-After"]) == (409, 50386, "1")
    assert v1.conversations(sid).messages.list() == []


@pytest.mark.each_engine
def test_closed_conversation_refuses_message_changes(instance: Instance) -> None:
    conversation = conversation_of(instance, CHAT_AND_SMS)
    sid = conversation.messages.create(body="x").sid
    conversation.update(state="closed")
    before = instance.items("")
    for change in (
        partial(conversation.messages.create, body="x"),
        partial(conversation.messages(sid).update, body="y"),
        conversation.messages(sid).delete,
    ):
        error = refusal(change)
        assert (error.status, error.code) == (400, 50377)
    assert instance.items("") == before
    assert conversation.messages(sid).fetch().body == conversation.messages.list()[0].body == "x"


@pytest.mark.each_engine
def test_new_message_reactivates_conversation_and_edit_does_not(instance: Instance) -> None:
    conversation = conversation_of(instance, chat(1))
    sid = conversation.messages.create(body="x").sid
    conversation.update(state="inactive")
    conversation.messages(sid).update(body="y")
    conversation.messages(conversation.messages.list()[0].sid).delete()
    assert conversation.fetch().state == "inactive"
    conversation.messages.create(body="x")
    assert conversation.fetch().state == "active"


@pytest.mark.each_engine
def test_new_message_restarts_timers_and_edit_does_not(clocked: Instance, clock: ManualClock) -> None:
    v1 = clocked.client().conversations.v1
    created = v1.conversations.create(timers_inactive="PT1M", timers_closed="PT10M")
    conversation = v1.conversations(created.sid)
    clock.move(timedelta(seconds=30))
    sid = conversation.messages.create(body="x").sid
    restarted = conversation.fetch()
    seconds = timedelta(seconds=30)
    for name in ("date_inactive", "date_closed"):
        moved = datetime.fromisoformat(restarted.timers[name]) - datetime.fromisoformat(created.timers[name])
        assert moved == seconds
    assert restarted.date_updated == created.date_updated
    clock.move(seconds)
    conversation.messages(sid).update(body="y")
    conversation.messages(sid).delete()
    assert conversation.fetch().timers == restarted.timers


# Other services, other accounts and unknown SIDs


def test_message_is_scoped_to_its_service(instance: Instance) -> None:
    v1 = instance.client().conversations.v1
    service = v1.services(v1.services.create(friendly_name="Support").sid)
    sid = service.conversations.create(unique_name="visit").sid
    created = service.conversations("visit").messages.create(body="x")
    service_sid = created.chat_service_sid
    base = f"{ORIGIN}/v1/Services/{service_sid}/Conversations/{sid}/Messages"
    assert created.url == f"{base}/{created.sid}"
    assert created.links["delivery_receipts"] == f"{base}/{created.sid}/Receipts"
    assert service.conversations(sid).messages(created.sid).update(body="y").chat_service_sid == service_sid
    assert [each.chat_service_sid for each in service.conversations(sid).messages.list()] == [service_sid]
    assert refusal(v1.conversations(sid).messages(created.sid).fetch).code == 20404
    assert refusal(v1.conversations(sid).messages(created.sid).delete).code == 20404
    assert service.conversations(sid).messages(created.sid).delete()


def test_unknown_message_is_not_found(instance: Instance) -> None:
    v1 = instance.client().conversations.v1
    one, other = (v1.conversations.create().sid for _ in range(2))
    message = v1.conversations(one).messages.create(body="x").sid
    nowhere = [
        v1.conversations(one).messages("IM" + "0" * 32),
        v1.conversations(one).messages("0"),
        v1.conversations(other).messages(message),
        v1.conversations("unknown").messages(message),
    ]
    for missing in nowhere:
        for asked in (missing.fetch, missing.delete, partial(missing.update, body="y")):
            assert refusal(asked).code == 20404
    assert refusal(partial(v1.conversations("unknown").messages.create, body="x")).code == 20404
    for path in ("unknown/Messages", f"{other}/Messages/{message}/Receipts", f"{one}/Messages/0/Receipts"):
        answered = instance.call("GET", f"/v1/Conversations/{path}")
        assert (answered.status, answered.body["code"]) == (404, 20404)


@pytest.mark.each_engine
def test_message_of_another_account_is_not_found(instance: Instance) -> None:
    v1 = instance.client().conversations.v1
    sid = v1.conversations.create(unique_name="visit").sid
    message = v1.conversations(sid).messages.create(body="x").sid
    other = instance.accounts.create()
    theirs = instance.client(other.sid, instance.accounts.token(other.sid)).conversations.v1
    for name in (sid, "visit"):
        conversation = theirs.conversations(name)
        assert refusal(conversation.messages(message).fetch).code == 20404
        with pytest.raises(TwilioException, match="HTTP 404"):
            conversation.messages.list()
        assert refusal(partial(conversation.messages.create, body="x")).code == 20404


@pytest.mark.each_engine
def test_deleting_conversation_erases_messages_and_receipts(instance: Instance) -> None:
    conversation = conversation_of(instance, sms(10))
    sids = [conversation.messages.create(body="x").sid for _ in range(3)]
    assert conversation.delete()
    assert refusal(conversation.messages(sids[0]).fetch).code == 20404
    assert refusal(partial(conversation.messages.create, body="x")).code in (50334, 20404)
    instance.sweep(timedelta(seconds=1))
    assert instance.items("message#") == instance.items("receipt#") == []


@pytest.mark.each_engine
def test_largest_group_gets_nine_receipts(instance: Instance) -> None:
    conversation = conversation_of(instance, group_mms(10))
    assert conversation.messages.create(author="+15017122661", body="x").delivery["total"] == 9
