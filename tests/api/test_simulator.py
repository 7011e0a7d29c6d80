"""A simulated phone writes to business numbers, gets copies of messages, and can opt out.

The phone reaches only numbers without a sender, and numbers with a simulated sender of the same account.
"""

from __future__ import annotations

from typing import Any
from urllib.parse import quote

import pytest

from tests.api.test_twilio_webhooks import create_sender
from tests.support.instances import ORIGIN, EmbeddedInstance, call
from tests.support.phones import BUSINESS, OTHER_PHONE, PHONE, configure, text


def refused(instance: EmbeddedInstance, *receivers: str) -> bool:
    answered = text(instance, "Hello", *receivers)
    assert answered.status == 400, answered.text
    return bool(answered.body["code"] == 20001 and answered.body["details"]["parameter"] == "To")


def test_simulated_phone_cannot_reach_a_number_with_a_carrier(embedded: EmbeddedInstance) -> None:
    create_sender(embedded)
    configure(embedded)
    assert refused(embedded)
    assert refused(embedded, OTHER_PHONE, BUSINESS)
    assert embedded.items("message#") == []


def test_simulated_phone_cannot_reach_a_number_of_another_account(embedded: EmbeddedInstance) -> None:
    other = embedded.accounts.create()
    auth = (other.sid, embedded.accounts.token(other.sid))
    form = {"Address": BUSINESS, "Provider": "simulated"}
    assert call(embedded.api, "POST", f"{ORIGIN}/convoke/v1/Senders", auth=auth, data=form).status == 201
    configure(embedded)
    assert refused(embedded)


def test_simulated_phone_reaches_a_number_with_a_simulated_sender(embedded: EmbeddedInstance) -> None:
    embedded.call("POST", "/convoke/v1/Senders", {"Address": BUSINESS, "Provider": "simulated"})
    configure(embedded)
    assert text(embedded).body["outcome"] == "added"


def test_business_number_of_a_group_message_may_be_any_receiver(embedded: EmbeddedInstance) -> None:
    configure(embedded)
    first = text(embedded, "Hello", OTHER_PHONE, BUSINESS).body["conversation_sid"]
    participants = embedded.client().conversations.v1.conversations(first).participants.list()
    projected = [each.messaging_binding.get("projected_address") for each in participants]
    assert [number for number in projected if number] == [BUSINESS]
    second = "+15017122662"
    embedded.call("POST", "/convoke/v1/Senders", {"Address": second, "Provider": "simulated"})
    assert text(embedded, "Hello", OTHER_PHONE, second).body["outcome"] == "unclaimed"
    configure(embedded, second)
    received = text(embedded, "Hello", OTHER_PHONE, BUSINESS, second, sender=PHONE).body
    participants = embedded.client().conversations.v1.conversations(received["conversation_sid"]).participants.list()
    assert second in [each.messaging_binding.get("projected_address") for each in participants]


def inbox(instance: EmbeddedInstance, number: str = PHONE) -> list[dict[str, Any]]:
    path = f"/convoke/v1/Simulate/Phones/{quote(number, safe='')}/Messages"
    listed: list[dict[str, Any]] = instance.call("GET", path).body["messages"]
    return listed


@pytest.mark.parametrize("number", ["banana", "5558675310", " 15558675310"])
def test_phone_without_a_valid_number_is_refused(embedded: EmbeddedInstance, number: str) -> None:
    phone = f"/convoke/v1/Simulate/Phones/{quote(number, safe='')}"
    for method, path in (("GET", ""), ("POST", ""), ("GET", "/Messages"), ("GET", "/Thread")):
        refused = embedded.call(method, phone + path, {"FailNext": "1"} if method == "POST" else None)
        assert (refused.status, refused.body["code"]) == (400, 20001)
        assert refused.body["message"] == "number must be the address of a phone, such as +15558675310"


def reply(instance: EmbeddedInstance, conversation_sid: str, body: str) -> list[tuple[str, int]]:
    """Send a message to the conversation's phones. Return the status and the error code of each copy."""
    conversation = instance.client().conversations.v1.conversations(conversation_sid)
    message = conversation.messages.create(author=BUSINESS, body=body)
    instance.work()
    return sorted(
        (each.status, each.error_code) for each in conversation.messages(message.sid).delivery_receipts.list()
    )


def test_phone_gets_the_messages_of_its_conversation(embedded: EmbeddedInstance) -> None:
    configure(embedded)
    sid = text(embedded).body["conversation_sid"]
    assert reply(embedded, sid, "Good morning") == [("delivered", 0)]
    (got,) = inbox(embedded)
    (_, message) = embedded.client().conversations.v1.conversations(sid).messages.list()
    assert got == {
        "sid": got["sid"],
        "from": BUSINESS,
        "to": PHONE,
        "body": "Good morning",
        "media_urls": [],
        "conversation_sid": sid,
        "message_sid": message.sid,
        "date_created": got["date_created"],
    }


def test_inbox_has_pages(embedded: EmbeddedInstance) -> None:
    configure(embedded)
    sid = text(embedded).body["conversation_sid"]
    for number in range(3):
        reply(embedded, sid, str(number))
    path = f"/convoke/v1/Simulate/Phones/{quote(PHONE, safe='')}/Messages"
    first = embedded.call("GET", f"{path}?PageSize=2").body
    second = embedded.call("GET", first["meta"]["next_page_url"].removeprefix(ORIGIN)).body
    assert [each["body"] for each in (*first["messages"], *second["messages"])] == ["0", "1", "2"]
    assert inbox(embedded, OTHER_PHONE) == []


def test_stop_ends_the_copies_to_a_phone_until_start(embedded: EmbeddedInstance) -> None:
    configure(embedded)
    sid = text(embedded).body["conversation_sid"]
    assert text(embedded, "STOP").body["conversation_sid"] == sid
    assert reply(embedded, sid, "Still there?") == [("failed", 21610)]
    text(embedded, "Start")
    assert reply(embedded, sid, "Welcome back") == [("delivered", 0)]
    stopped, started, welcome = inbox(embedded)
    assert "START" in stopped["body"]
    assert "STOP" in started["body"]
    assert (stopped["from"], stopped["conversation_sid"]) == (BUSINESS, None)
    assert welcome["body"] == "Welcome back"


def test_stop_that_comes_again_after_start_changes_nothing(embedded: EmbeddedInstance) -> None:
    configure(embedded)
    sid = text(embedded).body["conversation_sid"]
    stops = ["SM" + "1" * 32, "SM" + "2" * 32]
    for stop in stops:
        text(embedded, "STOP", MessageSid=stop)
    text(embedded, "START")
    for stop in stops:
        assert text(embedded, "STOP", MessageSid=stop).body["outcome"] == "repeated"
    assert reply(embedded, sid, "Welcome back") == [("delivered", 0)]


def test_stop_concerns_one_business_number(embedded: EmbeddedInstance) -> None:
    second = "+15017122662"
    for number in (BUSINESS, second):
        configure(embedded, number)
    sid = text(embedded, "Hello", second).body["conversation_sid"]
    text(embedded, "STOP")
    assert reply(embedded, sid, "Hi") == [("delivered", 0)]


def test_stop_of_an_unknown_phone_is_remembered_without_a_conversation(embedded: EmbeddedInstance) -> None:
    configure(embedded)
    assert text(embedded, "STOP").body["outcome"] == "unclaimed"
    assert reply(embedded, text(embedded, "Hello").body["conversation_sid"], "Hi") == [("failed", 21610)]


def test_keyword_that_changes_nothing_gets_no_answer(embedded: EmbeddedInstance) -> None:
    for word in ("START", "STOP", "STOP", "STOP it", "help", "HELP"):
        text(embedded, word)
    assert [each["body"].partition(" ")[0] for each in inbox(embedded)] == ["You", "Reply", "Reply"]


def test_stop_in_a_group_ends_the_copies_to_this_member_only(embedded: EmbeddedInstance) -> None:
    configure(embedded)
    third = "+15558675312"
    sid = text(embedded, "Hello", BUSINESS, OTHER_PHONE, third).body["conversation_sid"]
    assert text(embedded, "STOP", BUSINESS, PHONE, third, sender=OTHER_PHONE).body["conversation_sid"] == sid
    assert reply(embedded, sid, "Hi all") == [("delivered", 0), ("delivered", 0), ("failed", 21610)]
    assert [each["body"] for each in inbox(embedded, third)] == ["Hello", "STOP", "Hi all"]
    assert [each["from"] for each in inbox(embedded, OTHER_PHONE)] == [PHONE, BUSINESS]


def test_repeated_group_message_reaches_the_other_phones_once(embedded: EmbeddedInstance) -> None:
    configure(embedded)
    for _ in range(2):
        text(embedded, "Hello", BUSINESS, OTHER_PHONE, MessageSid="MM" + "0" * 32)
    assert [each["body"] for each in inbox(embedded, OTHER_PHONE)] == ["Hello"]


def test_refused_message_reaches_nobody(embedded: EmbeddedInstance) -> None:
    configure(embedded)
    assert text(embedded, None, BUSINESS, OTHER_PHONE).body["code"] == 50503
    assert text(embedded, "STOP", BUSINESS, OTHER_PHONE, "+16715550123").body["code"] == 50407
    assert inbox(embedded, PHONE) == inbox(embedded, OTHER_PHONE) == []


def thread(instance: EmbeddedInstance, number: str = PHONE) -> list[dict[str, Any]]:
    path = f"/convoke/v1/Simulate/Phones/{quote(number, safe='')}/Thread"
    listed: list[dict[str, Any]] = instance.call("GET", path).body["messages"]
    return listed


def phone(instance: EmbeddedInstance, number: str = PHONE) -> dict[str, Any]:
    fetched: dict[str, Any] = instance.call("GET", f"/convoke/v1/Simulate/Phones/{quote(number, safe='')}").body
    return fetched


def test_phones_that_have_messages_are_listed(embedded: EmbeddedInstance) -> None:
    def numbers() -> list[str]:
        phones: list[dict[str, str]] = embedded.call("GET", "/convoke/v1/Simulate/Phones").body["phones"]
        return [each["number"] for each in phones]

    assert numbers() == []
    text(embedded, "Nobody expects this")
    configure(embedded)
    text(embedded, "Hello", OTHER_PHONE, BUSINESS)
    assert numbers() == [PHONE, OTHER_PHONE]
    first = embedded.call("GET", "/convoke/v1/Simulate/Phones?PageSize=1").body
    second = embedded.call("GET", first["meta"]["next_page_url"].removeprefix(ORIGIN)).body
    assert [each["number"] for each in second["phones"]] == [OTHER_PHONE]
    assert second["meta"]["next_page_url"] is None


def test_thread_has_what_a_phone_has_sent_and_got_newest_first(embedded: EmbeddedInstance) -> None:
    configure(embedded)
    received = text(embedded, "Hello").body
    sid = received["conversation_sid"]
    reply(embedded, sid, "Good morning")
    copy, sent = thread(embedded)
    conversation = embedded.client().conversations.v1.conversations(sid).fetch()
    assert sent == {
        "sid": sent["sid"],
        "from": PHONE,
        "to": BUSINESS,
        "body": "Hello",
        "media_urls": [],
        "conversation_sid": sid,
        "message_sid": received["message_sid"],
        "date_created": sent["date_created"],
        "numbers": [BUSINESS],
        "outcome": "added",
        "status": None,
        "error_code": 0,
        "chat_service_sid": conversation.chat_service_sid,
    }
    assert (copy["from"], copy["to"], copy["body"]) == (BUSINESS, PHONE, "Good morning")
    assert (copy["numbers"], copy["outcome"]) == ([BUSINESS], None)
    assert (copy["status"], copy["error_code"]) == ("delivered", 0)
    assert copy["chat_service_sid"] == conversation.chat_service_sid
    assert [each["body"] for each in inbox(embedded)] == ["Good morning"]


def test_thread_shows_later_reports_and_forgets_deleted_conversations(embedded: EmbeddedInstance) -> None:
    configure(embedded)
    sid = text(embedded, "Hello").body["conversation_sid"]
    reply(embedded, sid, "Good morning")
    copy = thread(embedded)[0]
    form = {"ConversationSid": sid, "MessageSid": copy["message_sid"], "ReceiptSid": copy["sid"], "Status": "read"}
    embedded.call("POST", "/convoke/v1/Simulate/DeliveryStatus", form)
    assert thread(embedded)[0]["status"] == "read"
    embedded.client().conversations.v1.conversations(sid).delete()
    assert [(each["status"], each["chat_service_sid"]) for each in thread(embedded)] == [(None, None)] * 2


def test_thread_has_pages_across_what_was_sent_and_got(embedded: EmbeddedInstance) -> None:
    configure(embedded)
    sid = text(embedded, "0").body["conversation_sid"]
    for number in range(1, 6):
        text(embedded, str(number)) if number % 3 else reply(embedded, sid, str(number))
    path: str | None = f"/convoke/v1/Simulate/Phones/{quote(PHONE, safe='')}/Thread?PageSize=2"
    pages = []
    while path:
        page = embedded.call("GET", path).body
        pages.append([each["body"] for each in page["messages"]])
        path = page["meta"]["next_page_url"] and page["meta"]["next_page_url"].removeprefix(ORIGIN)
    assert pages == [["5", "4"], ["3", "2"], ["1", "0"]]
    previous = embedded.call("GET", page["meta"]["previous_page_url"].removeprefix(ORIGIN)).body
    assert [each["body"] for each in previous["messages"]] == ["3", "2"]


def test_thread_has_messages_that_no_conversation_took_once(embedded: EmbeddedInstance) -> None:
    assert text(embedded, "Anybody?").body["outcome"] == "unclaimed"
    (sent,) = thread(embedded)
    assert (sent["body"], sent["outcome"], sent["conversation_sid"]) == ("Anybody?", "unclaimed", None)
    configure(embedded)
    for _ in range(2):
        text(embedded, "Again", MessageSid="SM" + "1" * 32)
    assert [each["body"] for each in thread(embedded)] == ["Again", "Anybody?"]


def test_every_message_of_a_group_names_the_numbers_of_an_answer(embedded: EmbeddedInstance) -> None:
    configure(embedded)
    sid = text(embedded, "Hello all", OTHER_PHONE, BUSINESS).body["conversation_sid"]
    reply(embedded, sid, "Good morning")
    found = [thread(embedded), thread(embedded, OTHER_PHONE)]
    assert [[each["from"] for each in messages] for messages in found] == [[BUSINESS, PHONE]] * 2
    assert [each["numbers"] for each in found[0]] == [[BUSINESS, OTHER_PHONE]] * 2
    assert [each["numbers"] for each in found[1]] == [[BUSINESS, PHONE]] * 2


def test_phone_tells_from_which_numbers_it_has_opted_out(embedded: EmbeddedInstance) -> None:
    second = "+15017122662"
    for number in (BUSINESS, second):
        text(embedded, "STOP", number)
    text(embedded, "START", second)
    assert phone(embedded)["opted_out"] == [BUSINESS]
    assert [each["body"].split()[0] for each in thread(embedded)] == ["You", "START", "You", "STOP", "You", "STOP"]
    assert phone(embedded, OTHER_PHONE)["opted_out"] == []


def test_phone_tells_how_it_behaves(embedded: EmbeddedInstance) -> None:
    expected = {"account_sid": embedded.account.sid, "number": PHONE, "opted_out": []}
    assert phone(embedded) == {**expected, "fail_next": 0, "reports_delivery": True}
    form = {"FailNext": "2", "ReportsDelivery": "false"}
    planned = embedded.call("POST", f"/convoke/v1/Simulate/Phones/{quote(PHONE, safe='')}", form).body
    assert planned == phone(embedded) == {**expected, "fail_next": 2, "reports_delivery": False}
