"""Clients list and fetch the delivery receipts of a message. See docs/behaviour/receipts.md."""

from __future__ import annotations

from tests.api.test_messages import conversation_of
from tests.support.examples import CHAT_AND_SMS, GROUP_MMS, chat, sms
from tests.support.instances import ORIGIN, Instance, refusal
from tests.support.media import media_sid

WHATSAPP = '{"messaging_binding": {"address": "whatsapp:+15558675310", "proxy_address": "whatsapp:+15017122661"}}'


def test_response_has_expected_fields(instance: Instance) -> None:
    conversation = conversation_of(instance, CHAT_AND_SMS)
    message = conversation.messages.create(author="alice", body="Hello")
    phone = next(member for member in conversation.participants.list() if member.messaging_binding)
    path = f"/v1/Conversations/{message.conversation_sid}/Messages/{message.sid}/Receipts"
    (queued,) = instance.call("GET", path).body["delivery_receipts"]
    assert (queued["status"], queued["error_code"]) == (None, 0)
    instance.work()
    listed = instance.call("GET", path).body
    (receipt,) = listed["delivery_receipts"]
    (stored,) = instance.items("receipt#")
    expected = {
        "account_sid": instance.account.sid,
        "conversation_sid": message.conversation_sid,
        "sid": stored["sid"],
        "message_sid": message.sid,
        "channel_message_sid": stored["channel_message_sid"],
        "participant_sid": phone.sid,
        "status": "delivered",
        "error_code": 0,
        "date_created": f"{stored['date_created'][:19]}Z",
        "date_updated": f"{stored['date_updated'][:19]}Z",
        "url": f"{ORIGIN}{path}/{stored['sid']}",
    }
    assert receipt == instance.call("GET", f"{path}/{receipt['sid']}").body == expected
    assert list(receipt) == list(expected)
    assert (receipt["sid"][:2], receipt["channel_message_sid"][:2]) == ("DY", "SM")
    assert (listed["meta"]["key"], listed["meta"]["page_size"]) == ("delivery_receipts", 50)
    fetched = conversation.messages(message.sid).delivery_receipts(receipt["sid"]).fetch()
    assert (fetched.status, fetched.error_code, fetched.participant_sid) == ("delivered", 0, phone.sid)


def test_channel_message_sid_has_prefix_of_its_channel(instance: Instance) -> None:
    def prefixes(members: list[str], **parameters: str) -> set[str]:
        conversation = conversation_of(instance, members)
        sid = conversation.messages.create(**parameters).sid
        listed = conversation.messages(sid).delivery_receipts.list()
        assert conversation.delete()
        return {receipt.channel_message_sid[:2] for receipt in listed}

    assert prefixes(CHAT_AND_SMS, body="x") == {"SM"}
    assert prefixes(CHAT_AND_SMS, media_sid=media_sid(instance)) == {"MM"}
    assert prefixes(GROUP_MMS, body="x", author="+15017122661") == {"SM"}
    assert prefixes(GROUP_MMS, media_sid=media_sid(instance), author="+15017122661") == {"MM"}
    assert prefixes([WHATSAPP], media_sid=media_sid(instance)) == {"WA"}


def test_author_and_chat_participants_get_no_receipt(instance: Instance) -> None:
    conversation = conversation_of(instance, [*sms(2), *chat(2)])
    from_chat = conversation.messages.create(author="member 0", body="x")
    from_phone = conversation.messages.create(author="+15558670000", body="x")
    of_phone = {member.sid for member in conversation.participants.list() if member.messaging_binding}
    of_all = {receipt.participant_sid for receipt in conversation.messages(from_chat.sid).delivery_receipts.list()}
    (of_other,) = conversation.messages(from_phone.sid).delivery_receipts.list()
    assert of_all == of_phone
    assert {of_other.participant_sid} == of_phone - {from_phone.participant_sid}
    assert (from_chat.delivery["total"], from_phone.delivery["total"]) == (2, 1)


def test_message_without_outside_recipients_has_no_delivery_summary(instance: Instance) -> None:
    among_chat = conversation_of(instance, chat(2))
    assert among_chat.messages.create(body="x").delivery is None
    alone = conversation_of(instance, [*sms(1), *chat(1)])
    message = alone.messages.create(author="+15558670000", body="x")
    assert message.delivery is None
    assert alone.messages(message.sid).delivery_receipts.list() == []


def test_receipt_list_pages_lead_forward_and_back(instance: Instance) -> None:
    conversation = conversation_of(instance, sms(5))
    one, other = (conversation.messages.create(body="x").sid for _ in range(2))
    listed = conversation.messages(one).delivery_receipts.list(page_size=2)
    assert len({receipt.participant_sid for receipt in listed}) == 5
    assert {receipt.message_sid for receipt in listed} == {one}
    first = conversation.messages(one).delivery_receipts.page(page_size=2)
    back = first.next_page().previous_page()
    assert [receipt.sid for receipt in back] == [receipt.sid for receipt in listed[:2]]
    path = f"/v1/Conversations/{conversation.fetch().sid}/Messages/{one}/Receipts"
    assert instance.call("GET", f"{path}?PageSize=500").body["meta"]["page_size"] == 50
    missing = [
        conversation.messages(one).delivery_receipts("DY" + "0" * 32),
        conversation.messages(one).delivery_receipts("0"),
        conversation.messages(other).delivery_receipts(listed[0].sid),
        conversation.messages("IM" + "0" * 32).delivery_receipts(listed[0].sid),
    ]
    for receipt in missing:
        assert refusal(receipt.fetch).code == 20404


def test_receipt_in_service_tree_names_the_service(instance: Instance) -> None:
    v1 = instance.client().conversations.v1
    service = v1.services(v1.services.create(friendly_name="Support").sid)
    created = service.conversation_with_participants.create(
        participant=CHAT_AND_SMS, messaging_service_sid="MG" + "0" * 32
    )
    instance.work()
    message = service.conversations(created.sid).messages.create(body="x")
    (receipt,) = service.conversations(created.sid).messages(message.sid).delivery_receipts.list()
    assert receipt.chat_service_sid == message.chat_service_sid
    assert receipt.url == f"{message.links['delivery_receipts']}/{receipt.sid}"
