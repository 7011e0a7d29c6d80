"""A person uses simulated phones and senders in the console. See docs/console.md#phones."""

from __future__ import annotations

import http.server
import json
import re
import threading
from collections.abc import Iterator
from typing import Any
from urllib.parse import quote

import pytest
from playwright.sync_api import Locator, Page, Route, expect

from convoke.domain.senders import AssignedSender
from convoke.testing.instance import RunningInstance
from tests.browser.conftest import CheckAccessibility, Visit
from tests.browser.example import PHONE, PROXY, Example
from tests.browser.support import console_link, post
from tests.browser.test_console import HOSTILE, client, go, open_viewing
from tests.support.media import PICTURE

OTHER_PROXY = "+15017122669"


def open_phone(page: Page, instance: RunningInstance, number: str = PHONE) -> None:
    page.goto(f"{instance.url}/console#/phones/{quote(number, safe='')}")
    expect(page.get_by_role("heading", name=number, level=1)).to_be_visible()


def write(page: Page, text: str, *numbers: str) -> None:
    if numbers:
        page.get_by_label("to", exact=True).fill(", ".join(numbers))
    page.get_by_label("Message", exact=True).fill(text)
    page.get_by_role("button", name="Send").click()


def message(page: Page, text: str) -> Locator:
    return page.locator(".message", has_text=text)


def pair(instance: RunningInstance, number: str, proxy: str = PROXY) -> Any:
    """Create a conversation with a chat user and a phone. Return the SDK object of the conversation."""
    members = [{"identity": "alice"}, {"messaging_binding": {"address": number, "proxy_address": proxy}}]
    v1 = client(instance)
    sid = v1.conversation_with_participants.create(participant=[json.dumps(each) for each in members]).sid
    instance.settle()
    return v1.conversations(sid)


@pytest.fixture
def image_url() -> Iterator[str]:
    """Serve an image at the returned URL."""

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.send_header("Content-Type", "image/png")
            self.end_headers()
            self.wfile.write(PICTURE)

        def log_message(self, *_: object) -> None:
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}/image.png"
    server.shutdown()
    thread.join()
    server.server_close()


# Phones


def test_phone_shows_what_it_got_and_sent_and_leads_to_the_conversation(page: Page, example: Example) -> None:
    go(page, "Phones")
    page.locator("a.item", has_text=PHONE).click()
    expect(page.locator(".tabs [aria-current]")).to_have_text(PROXY)
    expect(page.locator(".message .text").nth(0)).to_contain_text("Good morning!")
    expect(page.locator(".message .text").last).to_contain_text("See you on Thursday!")
    expect(page.locator(".message.own .text")).to_have_text(
        ["Works for me. Is there parking nearby?", "Perfect, thank you."]
    )
    expect(message(page, "See you on Thursday!").locator(".badge")).to_have_text("delivered")
    message(page, "Perfect, thank you.").get_by_role("link", name="Conversation").click()
    expect(page.get_by_role("heading", name="Viewing of 12 Elm Street")).to_be_visible()


def test_phone_writes_with_media_and_answers_arrive_by_themselves(
    page: Page, instance: RunningInstance, image_url: str
) -> None:
    number = "+15558675320"
    conversation = pair(instance, number)
    open_phone(page, instance, number)
    page.get_by_text("Add media").click()
    page.get_by_label("Media URL").fill(image_url)
    write(page, "Here is a picture", PROXY)
    sent = message(page, "Here is a picture")
    expect(sent.get_by_role("link", name="Open the media")).to_have_attribute("href", image_url)
    expect(page.get_by_label("Message", exact=True)).to_have_value("")
    expect(page.locator("a.item", has_text=number)).to_be_visible()
    (stored,) = conversation.messages.list()
    assert (stored.author, stored.body, len(stored.media)) == (number, "Here is a picture", 1)
    conversation.messages.create(author="alice", body="Thank you for the picture")
    expect(message(page, "Thank you for the picture").locator(".badge")).to_have_text("delivered")
    expect(page.locator(".message.own")).to_have_count(1)
    conversation.delete()
    expect(sent).to_contain_text("The conversation was deleted")


def test_entered_number_becomes_a_phone_with_a_message_that_nobody_expects(
    page: Page, instance: RunningInstance
) -> None:
    number = "+15558675321"
    go(page, "Phones")
    page.get_by_label("Phone number").fill(number)
    expect(page.get_by_text("Not used yet")).to_be_visible()
    page.get_by_label("Phone number").press("Enter")
    expect(page.get_by_role("heading", name=number, level=1)).to_be_visible()
    write(page, "Anybody?", OTHER_PROXY)
    expect(message(page, "Anybody?").locator(".badge")).to_have_text("No conversation expects it")
    expect(page.locator("a.item[aria-current]")).to_contain_text(number)


def test_invalid_receiver_is_refused_in_the_composer(page: Page, visit: Visit, instance: RunningInstance) -> None:
    visit.expected = "status of 400"
    open_phone(page, instance, "+15558675322")
    write(page, "Hello", "nowhere")
    expect(page.locator(".composer").get_by_role("alert")).to_contain_text("50407")
    expect(page.get_by_label("Message", exact=True)).to_have_value("Hello")


def test_statuses_are_reported_in_the_order_of_progress(page: Page, instance: RunningInstance) -> None:
    number = "+15558675323"
    conversation = pair(instance, number)
    open_phone(page, instance, number)
    page.get_by_label("Reports deliveries").uncheck()
    page.get_by_role("button", name="Save").click()
    expect(page.get_by_text("Saved.")).to_be_visible()
    sid = conversation.messages.create(author="alice", body="Are you there?").sid
    copy = message(page, "Are you there?")

    def report(status: str, code: str = "") -> list[tuple[str, int]]:
        copy.get_by_role("button", name="Report").click()
        page.get_by_label("Status", exact=True).select_option(status)
        if code:
            page.get_by_label("Error code").select_option(code)
        page.get_by_role("dialog").get_by_role("button", name="Report").click()
        expect(copy.locator(".badge").first).to_have_text(status)
        return [(each.status, each.error_code) for each in conversation.messages(sid).delivery_receipts.list()]

    expect(copy.locator(".badge")).to_have_text("sent")
    assert report("undelivered", "30005") == [("undelivered", 30005)]
    expect(copy.locator(".badge")).to_have_text(["undelivered", "30005"])
    assert report("delivered")[0][0] == "delivered"
    copy.get_by_role("button", name="Report").click()
    expect(page.get_by_label("Status", exact=True).locator("option")).to_have_text(["read"])
    expect(page.get_by_label("Error code")).to_have_count(0)
    page.get_by_role("button", name="Cancel").click()
    assert report("read")[0][0] == "read"
    expect(copy.get_by_role("button", name="Report")).to_have_count(0)


def test_stop_and_start_are_shown_and_copies_fail_in_between(page: Page, instance: RunningInstance) -> None:
    number = "+15558675324"
    conversation = pair(instance, number)
    open_phone(page, instance, number)
    write(page, "STOP", PROXY)
    expect(page.get_by_text("This phone has opted out")).to_be_visible()
    expect(message(page, "You will get no more messages")).to_contain_text("Answer of the carrier")
    conversation.messages.create(author="alice", body="Still there?")
    message(page, "STOP").first.get_by_role("link", name="Conversation").click()
    message(page, "Still there?").get_by_text("1 copy failed").click()
    copies = page.locator(".copies")
    expect(copies.locator(".badge")).to_have_text(["failed", "21610"])
    copies.get_by_role("link", name=number).click()
    expect(page.locator("aside .outcomes")).to_contain_text(PROXY)
    write(page, "START")
    expect(page.get_by_text("This phone has opted out")).to_have_count(0)
    expect(page.get_by_text("From no number.")).to_be_visible()


def test_behavior_of_a_phone_is_planned_and_an_update_does_not_undo_the_input(
    page: Page, instance: RunningInstance
) -> None:
    number = "+15558675325"
    conversation = pair(instance, number)
    open_phone(page, instance, number)
    page.get_by_label("Attempts that fail next").fill("1")
    page.get_by_role("button", name="Save").click()
    expect(page.get_by_text("Saved.")).to_be_visible()
    conversation.messages.create(author="alice", body="Late")
    failures = page.get_by_label("Attempts that fail next")
    expect(failures).to_have_value("0")
    expect(message(page, "Late")).to_have_count(0)
    expect(page.get_by_label("Reports deliveries")).to_have_accessible_description(re.compile("copies stay sent"))
    failures.fill("3")
    instance.phone(number).send("Hello", PROXY)
    expect(message(page, "Hello")).to_be_visible()
    expect(failures).to_have_value("3")


def test_group_is_one_thread_and_an_answer_goes_to_all_its_numbers(page: Page, instance: RunningInstance) -> None:
    phones = ["+15558675326", "+15558675327"]
    members = [{"identity": "alice", "messaging_binding": {"projected_address": PROXY}}]
    members += [{"messaging_binding": {"address": each}} for each in phones]
    v1 = client(instance)
    sid = v1.conversation_with_participants.create(participant=[json.dumps(each) for each in members]).sid
    instance.settle()
    v1.conversations(sid).messages.create(author="alice", body="Hello all")
    open_phone(page, instance, phones[0])
    expect(message(page, "Hello all")).to_be_visible()
    expect(page.locator(".tabs li")).to_have_text([f"{PROXY}, {phones[1]}"])
    write(page, "Hello from one phone")
    expect(page.locator(".message.own")).to_contain_text("Hello from one phone")
    expect(page.locator(".tabs li")).to_have_count(1)
    open_phone(page, instance, phones[1])
    expect(page.locator(".message .text")).to_have_text(["Hello all", "Hello from one phone"])
    assert [each.body for each in v1.conversations(sid).messages.list()] == ["Hello all", "Hello from one phone"]
    page.locator(".tabs a").click()
    expect(page).to_have_url(re.compile("phones/.+/.+"))
    write(page, "Only to the office", PROXY)
    expect(page.locator(".tabs [aria-current]")).to_have_text(PROXY)
    expect(page.locator(".message .text")).to_have_text(["Only to the office"])


def test_earlier_messages_of_a_thread_are_loaded(page: Page, instance: RunningInstance) -> None:
    phone = instance.phone("+15558675328")
    for number in range(60):
        phone.send(f"Message {number:02}", PROXY)
    open_phone(page, instance, phone.number)
    expect(page.locator(".message")).to_have_count(50)
    page.get_by_role("button", name="Load earlier messages").click()
    expect(page.locator(".message")).to_have_count(60)
    expect(page.locator(".message .text").first).to_have_text("Message 00")
    expect(page.get_by_role("button", name="Load earlier messages")).to_be_hidden()


def test_copies_of_a_message_stay_open_and_follow_the_reports(
    page: Page, instance: RunningInstance, example: Example
) -> None:
    open_viewing(page, instance, example)
    last = message(page, "See you on Thursday!")
    last.get_by_text("1 copy delivered").click()
    expect(last.locator(".copies .badge")).to_have_text("delivered")
    messages = client(instance).conversations(example.viewing_sid).messages
    (newest,) = messages.list(order="desc", limit=1)
    (receipt,) = messages(newest.sid).delivery_receipts.list()
    sids = {"ConversationSid": example.viewing_sid, "MessageSid": newest.sid, "ReceiptSid": receipt.sid}
    post(instance, "/convoke/v1/Simulate/DeliveryStatus", {**sids, "Status": "read"})
    expect(last.locator(".copies .badge")).to_have_text("read")
    last.get_by_text("1 copy read").click()
    client(instance).conversations(example.viewing_sid).messages(newest.sid).update(body="See you on Friday!")
    expect(message(page, "See you on Friday!").locator(".copies")).to_be_hidden()


# Senders


def test_senders_are_created_edited_and_deleted_without_their_secrets(
    page: Page, visit: Visit, instance: RunningInstance
) -> None:
    visit.expected = "status of 409"
    secret = "0123456789abcdef" * 2
    go(page, "Senders")
    page.get_by_role("button", name="New").click()
    page.get_by_label("Address").fill("+15017122670")
    page.get_by_label("Messages per second").fill("20")
    expect(page.get_by_label("Auth Token at Twilio")).to_be_hidden()
    page.get_by_label("Provider").select_option("twilio")
    page.get_by_label("Account SID at Twilio").fill("AC" + "1" * 32)
    page.get_by_label("Auth Token at Twilio").fill(secret)
    page.get_by_role("button", name="Create").click()
    row = page.get_by_role("row", name="+15017122670")
    expect(row).to_contain_text("twilio")
    expect(row.get_by_role("cell", name="20", exact=True)).to_be_visible()
    page.get_by_role("button", name="New").click()
    page.get_by_label("Address").fill("+15017122670")
    page.get_by_role("button", name="Create").click()
    expect(page.get_by_role("dialog").get_by_role("alert")).to_contain_text("20409")
    page.get_by_role("button", name="Cancel").click()
    row.get_by_role("button", name="Edit").click()
    expect(page.get_by_label("Auth Token at Twilio")).to_have_value("")
    page.get_by_label("Name", exact=True).fill(HOSTILE)
    page.get_by_role("button", name="Save").click()
    expect(row).to_contain_text(HOSTILE)
    expect(row.get_by_role("cell", name="20", exact=True)).to_be_visible()
    assert secret not in page.content()
    row.get_by_role("button", name="Delete").click()
    page.get_by_role("dialog").get_by_role("button", name="Delete").click()
    expect(row).to_have_count(0)


def test_limit_of_a_sender_is_changed_and_removed(page: Page, visit: Visit, instance: RunningInstance) -> None:
    visit.expected = "status of 400"
    number = "+15017122673"
    post(instance, "/convoke/v1/Senders", {"Address": number, "Provider": "simulated"})
    go(page, "Senders")
    row = page.get_by_role("row", name=number)
    expect(row).to_contain_text("no maximum")
    row.get_by_role("button", name="Edit").click()
    limit = page.get_by_label("Messages per second")
    expect(limit).to_have_value("")
    limit.fill("0")
    page.get_by_role("button", name="Save").click()
    expect(page.get_by_role("dialog").get_by_role("alert")).to_contain_text("integer from 1 to 500")
    limit.fill("7")
    page.get_by_role("button", name="Save").click()
    expect(row.get_by_role("cell", name="7", exact=True)).to_be_visible()
    row.get_by_role("button", name="Edit").click()
    expect(limit).to_have_value("7")
    limit.fill("")
    page.get_by_role("button", name="Save").click()
    expect(row).to_contain_text("no maximum")


def test_number_with_a_carrier_is_out_of_reach_of_a_phone(page: Page, visit: Visit, instance: RunningInstance) -> None:
    visit.expected = "status of 400"
    number = "+15017122671"
    secret = {"Twilio.AccountSid": "AC" + "1" * 32, "Twilio.AuthToken": "secret"}
    post(instance, "/convoke/v1/Senders", {**secret, "Address": number, "Provider": "twilio"})
    open_phone(page, instance, "+15558675329")
    expect(page.locator(f"datalist option[value='{number}']")).to_have_count(1)
    write(page, "Hello", number)
    expect(page.locator(".composer").get_by_role("alert")).to_contain_text("simulated")


# Everybody


def test_hostile_text_stays_text(page: Page, visit: Visit, instance: RunningInstance) -> None:
    visit.expected = "status of 404"
    number = "+15558675330"
    pair(instance, number).messages.create(author="alice", body=HOSTILE)
    open_phone(page, instance, number)
    write(page, HOSTILE, PROXY)
    expect(page.locator(".message .text")).to_have_text([HOSTILE, HOSTILE])
    page.get_by_label("Phone number").fill(HOSTILE)
    expect(page.get_by_text("Not used yet")).to_be_visible()
    page.get_by_role("button", name="Open").click()
    expect(page.get_by_role("heading", name=HOSTILE, level=1)).to_be_visible()
    assert page.evaluate("window.hacked") is None
    assert page.locator("img[src=x]").count() == 0


def test_keyboard_alone_is_enough_to_write_as_a_phone(page: Page) -> None:
    go(page, "Phones")
    page.keyboard.press("Tab")
    page.keyboard.type("+15558675331")
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", name="+15558675331", level=1)).to_be_visible()
    for name, text in (("body", "Typed"), ("to", PROXY)):
        for _ in range(60):
            if page.evaluate("document.activeElement.name") == name:
                break
            page.keyboard.press("Tab")
        page.keyboard.type(text)
    page.keyboard.press("Enter")
    expect(page.locator(".message.own")).to_contain_text("Typed")


def without_phones(route: Route) -> None:
    """Change the console's page into the page of an engine that simulates no phones."""
    answer = route.fetch()
    route.fulfill(response=answer, body=answer.text().replace(" Phones ", " "))


def test_engine_that_simulates_no_phones_says_so(visit: Visit, instance: RunningInstance) -> None:
    page = visit.page
    page.route("**/console", without_phones)
    page.goto(console_link(instance))
    go(page, "Phones")
    expect(page.get_by_role("heading", name="No phone is simulated here")).to_be_visible()
    arn = "arn:aws:sms-voice:eu-west-1:111111111111:phone-number/phone-0123"
    assigned = AssignedSender(address="+15017122672", origination_identity=arn, max_messages_per_second=5)
    instance._engine.program.senders.assign(instance.account_sid, assigned)
    page.get_by_role("link", name="Show the senders").click()
    row = page.get_by_role("row", name="+15017122672")
    expect(row.get_by_text("phone-0123")).to_have_attribute("title", arn)
    row.get_by_role("button", name="Edit").click()
    expect(page.get_by_label("Messages per second")).to_have_count(0)
    expect(page.get_by_role("dialog")).to_contain_text("Only the operator can change the messages per second")
    page.get_by_label("Name", exact=True).fill("Main number")
    page.get_by_role("button", name="Save").click()
    expect(row).to_contain_text("Main number")
    expect(row.get_by_role("cell", name="5", exact=True)).to_be_visible()
    row.get_by_role("button", name="Delete").click()
    expect(page.get_by_role("dialog")).to_contain_text("Only the operator can assign the number again.")
    page.get_by_role("dialog").get_by_role("button", name="Delete").click()
    expect(row).to_have_count(0)
    page.get_by_role("button", name="New").click()
    expect(page.get_by_label("Provider").locator("option")).to_have_text(["Twilio"])
    expect(page.get_by_label("Auth Token at Twilio")).to_be_visible()


def test_phones_and_senders_are_accessible(
    accessible: tuple[Page, CheckAccessibility], instance: RunningInstance, example: Example
) -> None:
    page, check = accessible
    instance.phone("+15558675332").send("STOP", PROXY)
    page.goto(console_link(instance))
    page.get_by_role("heading", name="Conversations", level=1).wait_for()
    open_phone(page, instance)
    expect(message(page, "See you on Thursday!")).to_be_visible()
    page.get_by_text("Add media").click()
    check("phone")
    page.get_by_role("button", name="Report").last.click()
    check("report")
    page.get_by_role("button", name="Cancel").click()
    open_phone(page, instance, "+15558675332")
    expect(page.get_by_text("This phone has opted out")).to_be_visible()
    check("opted out")
    go(page, "Senders")
    page.get_by_role("button", name="New").click()
    page.get_by_label("Provider").select_option("twilio")
    check("new sender")
