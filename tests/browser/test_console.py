"""A person uses the console in Chromium. See docs/console.md."""

from __future__ import annotations

import http.server
import json
import re
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, expect

from convoke.testing.instance import RunningInstance, running
from tests.browser.conftest import CheckAccessibility, Visit
from tests.browser.example import Example
from tests.browser.support import console_link

HOSTILE = """"'><img src=x onerror="window.hacked=1"><script>window.hacked=1</script>${7*7}{{7*7}}"""

NOT_FOUND = "status of 404"
"""A part of the browser's message about a response with the status 404.

The console gets this response if no conversation has the SID or unique name for which a test searches.
"""

VIEWS = (
    "Conversations",
    "Phones",
    "Timeline",
    "Error log",
    "Webhooks",
    "Requests",
    "Clock",
    "Services",
    "Users",
    "Roles",
    "Addresses",
    "Senders",
    "API keys",
)
"""The views in the navigation."""


def client(instance: RunningInstance) -> Any:
    return instance.client().conversations.v1


def short(sid: str) -> str:
    """Return the SID as the console shortens it."""
    return f"{sid[:6]}…{sid[-6:]}"


def go(page: Page, view: str) -> None:
    page.get_by_role("navigation").get_by_role("link", name=view, exact=True).click()
    expect(page.get_by_role("heading", name=view, level=1)).to_be_visible()


def open_viewing(page: Page, instance: RunningInstance, example: Example) -> None:
    page.goto(f"{instance.url}/console#/conversations/{example.service_sid}/{example.viewing_sid}")
    expect(page.get_by_text("See you on Thursday!")).to_be_visible()


# Sign-in


def test_link_signs_in_once_and_leaves_no_code_in_the_address(
    visit: Visit, browser: Browser, instance: RunningInstance
) -> None:
    link = console_link(instance)
    visit.page.goto(link)
    expect(visit.page.get_by_role("heading", name="Conversations", level=1)).to_be_visible()
    assert "code=" not in visit.page.url
    second = browser.new_page()
    second.goto(link)
    expect(second.get_by_text("The link was used before")).to_be_visible()
    second.close()


def test_form_signs_in_with_auth_token_and_keeps_it_in_the_tab_only(visit: Visit, instance: RunningInstance) -> None:
    page = visit.page
    page.goto(instance.url)
    page.get_by_label("Account SID or API key SID").fill(instance.account_sid)
    page.get_by_label("Auth Token or API key secret").fill(instance.auth_token)
    page.get_by_role("button", name="Sign in").click()
    expect(page.get_by_role("heading", name="Conversations", level=1)).to_be_visible()
    assert page.context.cookies() == []
    assert page.evaluate("localStorage.length") == 0
    page.reload()
    expect(page.get_by_role("heading", name="Conversations", level=1)).to_be_visible()
    page.get_by_role("button", name="Sign out").click()
    expect(page.get_by_role("heading", name="Sign in")).to_be_visible()
    assert page.evaluate("sessionStorage.length") == 0


def test_form_signs_in_with_an_api_key(visit: Visit, instance: RunningInstance) -> None:
    key, secret = instance._engine.accounts.api_keys.create(instance.account_sid)
    visit.page.goto(f"{instance.url}/console")
    visit.page.get_by_label("Account SID or API key SID").fill(f" {key.sid} ")
    visit.page.get_by_label("Auth Token or API key secret").fill(secret)
    visit.page.get_by_role("button", name="Sign in").click()
    expect(visit.page.get_by_role("heading", name="Conversations", level=1)).to_be_visible()


def test_wrong_secret_is_refused_in_the_page_and_not_by_the_browser(visit: Visit, instance: RunningInstance) -> None:
    page, visit.expected = visit.page, "status of 401"
    page.goto(f"{instance.url}/console")
    page.get_by_label("Account SID or API key SID").fill(instance.account_sid)
    page.get_by_label("Auth Token or API key secret").fill("wrong")
    page.get_by_role("button", name="Sign in").click()
    expect(page.get_by_role("alert")).to_contain_text("do not belong together")


def test_revoked_key_leads_back_to_the_sign_in(page: Page, visit: Visit, instance: RunningInstance) -> None:
    visit.expected = "status of 401"
    user = json.loads(page.evaluate("sessionStorage.getItem('convoke-session')"))["user"]
    instance._engine.accounts.api_keys.delete(user)
    page.get_by_role("navigation").get_by_role("link", name="Timeline").click()
    expect(page.get_by_text("Your sign-in has ended")).to_be_visible()


@pytest.mark.parametrize(
    ("status", "body"), [(200, "<h1>Welcome</h1>"), (401, "<h1>Unauthorized</h1>"), (502, "<h1>Bad Gateway</h1>")]
)
def test_answer_of_a_proxy_is_not_taken_for_an_answer_of_convoke(
    status: int, body: str, page: Page, visit: Visit
) -> None:
    if status != 200:
        visit.expected = f"status of {status}"
    page.route(re.compile(r"/Conversations(\?|$)"), lambda route: route.fulfill(status=status, body=body))
    go(page, "Users")
    go(page, "Conversations")
    expect(page.get_by_text("The answer does not come from Convoke")).to_be_visible()


@pytest.mark.parametrize("body", ["", '{"message": "Unauthorized"}'])
def test_refusal_of_a_proxy_does_not_end_the_session(body: str, page: Page, visit: Visit) -> None:
    visit.expected = "status of 401"
    page.route(re.compile(r"/Conversations(\?|$)"), lambda route: route.fulfill(status=401, body=body))
    go(page, "Users")
    go(page, "Conversations")
    expect(page.get_by_role("alert")).to_be_visible()
    assert page.evaluate("sessionStorage.getItem('convoke-session')")


def test_alert_about_a_user_opens_without_a_conversation(page: Page, visit: Visit, instance: RunningInstance) -> None:
    v1 = client(instance)
    # The API answers the webhook request with 401. Therefore Convoke gives up the delivery after one attempt.
    v1.configuration.webhooks().update(post_webhook_url=f"{instance.url}/crm", filters=["onUserAdded"])
    v1.users.create(identity="grace", x_twilio_webhook_enabled="true")
    instance.settle()
    go(page, "Error log")
    row = page.locator("details.row", has_text=v1.users("grace").fetch().sid[-6:])
    row.locator("summary").click()
    expect(row.get_by_role("button", name="Send again")).to_be_visible()
    expect(row.get_by_text("Open the conversation")).to_have_count(0)
    v1.users("grace").delete()
    v1.configuration.webhooks().update(post_webhook_url="", filters=[])


# Conversations


def test_conversations_are_listed_filtered_and_found(page: Page, visit: Visit) -> None:
    visit.expected = NOT_FOUND
    rows = page.locator("a.item")
    expect(rows).to_have_count(7)
    page.get_by_label("State").select_option("closed")
    expect(rows).to_have_count(2)
    page.get_by_label("State").select_option("")
    for text, found in (
        ("carol", ["Viewing of 12 Elm Street"]),
        ("+15558675313", ["Questions about the lease"]),
    ):
        page.get_by_label("Search").fill(text)
        expect(rows.locator(".name")).to_have_text(found)


def test_conversation_is_found_by_sid_and_unique_name(page: Page, visit: Visit, example: Example) -> None:
    visit.expected = NOT_FOUND
    for text in (example.viewing_sid, "elm-street-12"):
        page.get_by_label("Search").fill(text)
        expect(page.locator("a.item .name")).to_have_text(["Viewing of 12 Elm Street"])
    page.get_by_label("Search").fill("nobody")
    expect(page.get_by_text("Nothing found")).to_be_visible()


def test_conversation_without_a_name_shows_its_sid_once_and_its_date(
    page: Page, visit: Visit, instance: RunningInstance
) -> None:
    visit.expected = NOT_FOUND
    v1 = client(instance)
    unnamed, unique = v1.conversations.create().sid, v1.conversations.create(unique_name="only-unique").sid
    v1.conversations(unnamed).participants.create(identity="frank")
    for text, lines in (
        (unnamed, [short(unnamed), "Created "]),
        ("frank", [short(unnamed), "Created "]),
        (unique, ["only-unique", short(unique)]),
    ):
        page.get_by_label("Search").fill(text)
        row = page.locator("a.item")
        expect(row.locator(".name")).to_have_text([lines[0]])
        expect(row.locator(".quiet > span")).to_contain_text([lines[1]])
        expect(row).not_to_contain_text("Invalid Date")
    for sid in (unnamed, unique):
        v1.conversations(sid).delete()


def test_unknown_conversation_is_an_error_and_nobody_can_write_to_it(
    page: Page, visit: Visit, instance: RunningInstance, example: Example
) -> None:
    visit.expected = NOT_FOUND
    page.goto(f"{instance.url}/console#/conversations/{example.service_sid}/CH{'0' * 32}")
    expect(page.get_by_text("was not found")).to_be_visible()
    expect(page.get_by_role("button", name="Send", exact=True)).to_be_disabled()
    expect(page.get_by_role("button", name="Add", exact=True)).to_be_hidden()


def test_message_is_written_as_a_member_and_others_arrive_by_themselves(
    page: Page, instance: RunningInstance, example: Example
) -> None:
    open_viewing(page, instance, example)
    page.get_by_role("combobox", name="as").select_option("bob")
    page.get_by_label("Message", exact=True).fill("See you!\nI bring the keys.")
    page.get_by_role("button", name="Send").click()
    expect(page.locator(".message.own").last).to_contain_text("I bring the keys.")
    (newest,) = client(instance).conversations(example.viewing_sid).messages.list(order="desc", limit=1)
    assert (newest.author, newest.body) == ("bob", "See you!\nI bring the keys.")
    client(instance).conversations(example.viewing_sid).messages.create(author="alice", body="Thank you, Bob")
    expect(page.locator(".message").last).to_contain_text("Thank you, Bob")
    page.locator(".message", has_text="Thank you, Bob").get_by_text("1 copy delivered").click()
    expect(page.locator(".copies", has_text="To +15558675310")).to_be_visible()


def test_member_is_added_and_removed(page: Page, instance: RunningInstance, example: Example) -> None:
    open_viewing(page, instance, example)
    page.get_by_role("button", name="Add", exact=True).click()
    page.get_by_label("Identity").fill("dave")
    page.get_by_role("dialog").get_by_role("button", name="Add").click()
    expect(page.locator(".member", has_text="dave")).to_be_visible()
    page.get_by_role("button", name="Remove dave").click()
    page.get_by_role("dialog").get_by_role("button", name="Remove").click()
    expect(page.locator(".member", has_text="dave")).to_have_count(0)


def test_refusal_is_shown_in_the_dialog(page: Page, visit: Visit, instance: RunningInstance, example: Example) -> None:
    visit.expected = "status of 409"
    open_viewing(page, instance, example)
    page.get_by_role("button", name="Add", exact=True).click()
    page.get_by_label("Identity").fill("alice")
    page.get_by_role("dialog").get_by_role("button", name="Add").click()
    expect(page.get_by_role("dialog").get_by_role("alert")).to_contain_text("50433")


def test_conversation_is_created_closed_and_deleted(page: Page, instance: RunningInstance) -> None:
    page.get_by_role("button", name="New conversation").click()
    page.get_by_label("Name", exact=True).fill("Made in the console")
    page.get_by_label("Members").fill("erin\n+15558675399 +15017122669")
    page.get_by_role("button", name="Create").click()
    expect(page.get_by_role("heading", name="Made in the console")).to_be_visible()
    expect(page.locator(".member")).to_have_count(2)
    page.get_by_role("button", name="Close", exact=True).click()
    page.get_by_role("button", name="Close conversation").click()
    expect(page.locator(".head.conversation .badge")).to_have_text("closed")
    page.get_by_role("button", name="Delete", exact=True).click()
    page.get_by_role("button", name="Delete conversation").click()
    expect(page.locator("a.item", has_text="Made in the console")).to_have_count(0)


def test_timer_counts_down_and_follows_the_clock(page: Page, instance: RunningInstance) -> None:
    sid = client(instance).conversations.create(friendly_name="Timers", timers_closed="PT2H").sid
    service = client(instance).configuration().fetch().default_chat_service_sid
    page.goto(f"{instance.url}/console#/conversations/{service}/{sid}")
    expect(page.locator("cv-countdown")).to_contain_text("01:59:")
    go(page, "Clock")
    page.get_by_role("button", name="+1 hour").click()
    expect(page.get_by_role("status").filter(has_text="Moved by PT1H")).to_be_visible()
    page.goto(f"{instance.url}/console#/conversations/{service}/{sid}")
    expect(page.locator("cv-countdown")).to_contain_text("00:59:")
    client(instance).conversations(sid).delete()


def test_provisioning_outcome_names_the_member_that_failed(
    page: Page, instance: RunningInstance, example: Example
) -> None:
    page.goto(f"{instance.url}/console#/conversations/{example.service_sid}/{example.failed_sid}")
    page.locator("summary", has_text="Provisioning").click()
    expect(page.locator(".outcomes li", has_text="50407")).to_have_count(1)
    page.get_by_role("link", name="Alert in the error log").click()
    expect(page.locator(".card", has_text="50427")).to_be_visible()


# Timeline, error log, webhooks, requests


def test_event_shows_its_attempts_with_the_request_and_is_replayed(page: Page) -> None:
    go(page, "Timeline")
    row = page.locator("details.row", has_text="carol").first
    row.locator("summary").first.click()
    attempt = row.locator("details.attempt", has_text="account")
    attempt.locator("summary").click()
    expect(attempt).to_contain_text("X-Twilio-Signature")
    expect(attempt).to_contain_text("EventType=onParticipantAdded")
    row.get_by_role("button", name="Replay").click()
    expect(row.locator("details.attempt", has_text="replay").first).to_be_visible()


def test_error_log_explains_alerts_and_sends_again(page: Page, instance: RunningInstance) -> None:
    go(page, "Error log")
    failed = page.locator("details.row", has_text="50427")
    failed.locator("summary").click()
    expect(failed.locator(".outcomes")).to_contain_text("50407")
    given_up = page.locator("details.row", has_text="50057").last
    given_up.locator("summary").click()
    given_up.get_by_role("button", name="Send again").click()
    expect(page.get_by_text("Sent again to WH")).to_be_visible()
    given_up.get_by_role("link", name="Open the conversation").click()
    expect(page.get_by_role("heading", name="Viewing of 12 Elm Street")).to_be_visible()


def test_webhooks_are_configured_on_every_level(page: Page, instance: RunningInstance, example: Example) -> None:
    go(page, "Webhooks")
    v1 = client(instance)
    levels: tuple[tuple[str, Callable[[], Any]], ...] = (
        ("account", lambda: v1.configuration.webhooks().fetch()),
        (example.service_sid, lambda: v1.services(example.service_sid).configuration.webhooks().fetch()),
    )
    for level, fetch in levels:
        page.get_by_label("Level").select_option(level)
        pre = page.get_by_label("Before a change")
        expect(pre).to_have_value("")
        pre.fill("https://hooks.example.com/pre")
        page.get_by_role("button", name="Save").first.click()
        expect(page.get_by_text("Saved.")).to_be_visible()
        expect(page.get_by_text("Saved.")).to_be_hidden()
        assert fetch().pre_webhook_url == "https://hooks.example.com/pre"
        pre.fill("")
        page.get_by_role("button", name="Save").first.click()
        expect(page.get_by_text("Saved.")).to_be_visible()
        assert fetch().pre_webhook_url is None
    page.get_by_label("Level").select_option("conversation")
    page.get_by_label("Conversation", exact=True).fill("lease-questions")
    page.get_by_label("Conversation", exact=True).press("Enter")
    page.get_by_label("Conversation", exact=True).blur()
    page.get_by_role("button", name="Add a webhook").click()
    page.get_by_role("dialog").get_by_label("URL").fill("https://hooks.example.com/one")
    page.get_by_role("dialog").get_by_role("button", name="Add").click()
    expect(page.get_by_text("https://hooks.example.com/one")).to_be_visible()
    page.get_by_role("button", name="Delete webhook").click()
    page.get_by_role("dialog").get_by_role("button", name="Delete").click()
    expect(page.get_by_text("has no webhooks of its own")).to_be_visible()


def test_receivers_and_signature_checker(page: Page, instance: RunningInstance) -> None:
    go(page, "Webhooks")
    page.get_by_role("button", name="Compute from").click()
    row = page.get_by_role("row", name="account").filter(has_text="/webhooks/")
    expect(row).to_contain_text("100 %")
    url, signature = "https://hooks.example.com/x", "nothing"
    page.get_by_label("URL as the receiver saw it").fill(url)
    page.get_by_label("X-Twilio-Signature").fill(signature)
    page.get_by_role("button", name="Check").click()
    expect(page.get_by_text("No usual mistake explains the difference")).to_be_visible()


def test_requests_are_masked_until_clicked(page: Page, instance: RunningInstance) -> None:
    go(page, "Requests")
    client(instance).conversations.create(friendly_name="A secret name").delete()
    # Wait for the rows of both requests before the click. A row that arrives later would move the other rows, and the
    # click could hit the wrong row. The text `now` distinguishes the new rows from similar rows of earlier tests.
    rows = page.locator("details.row")
    expect(rows.nth(0)).to_contain_text(re.compile(r"now\s*DELETE\s*/v1/Conversations/"))
    row = rows.nth(1)
    expect(row).to_contain_text(re.compile(r"now\s*POST\s*/v1/Conversations"))
    row.locator("summary").click()
    expect(row.get_by_text("A secret name")).to_have_count(0)
    row.get_by_role("button", name="Show").last.click()
    expect(row.get_by_text("A secret name")).to_be_visible()


# Safety


def test_hostile_text_in_every_field_stays_text(page: Page, visit: Visit, instance: RunningInstance) -> None:
    visit.expected = NOT_FOUND
    v1 = client(instance)
    made = v1.conversations.create(friendly_name=HOSTILE, unique_name="hostile", attributes=json.dumps({"a": HOSTILE}))
    v1.conversations(made.sid).participants.create(identity=HOSTILE)
    v1.conversations(made.sid).messages.create(author=HOSTILE, body=HOSTILE)
    service = v1.services.create(friendly_name=HOSTILE)
    instance._engine.accounts.api_keys.create(instance.account_sid, HOSTILE[:64])
    page.goto(f"{instance.url}/console#/conversations/{made.chat_service_sid}/{made.sid}")
    page.reload()
    expect(page.locator(".message .text")).to_have_text(HOSTILE)
    expect(page.locator(".member .name")).to_have_text(HOSTILE)
    expect(page.get_by_role("heading", level=1, name=HOSTILE)).to_be_visible()
    for view in VIEWS:
        go(page, view)
        page.wait_for_timeout(200)
        for summary in page.locator("details.row > summary").all()[:4]:
            summary.click()
    page.get_by_role("navigation").get_by_role("link", name="Conversations").click()
    page.get_by_label("Search").fill(HOSTILE)
    expect(page.locator("a.item .name")).to_have_text([HOSTILE])
    assert page.evaluate("window.hacked") is None
    assert page.locator("img[src=x]").count() == 0
    v1.services(service.sid).delete()
    v1.conversations(made.sid).delete()


@contextmanager
def foreign_page(target: str) -> Iterator[str]:
    """Serve a page of another origin.

    The page tries to show the console in a frame. As soon as the page is open, the page posts a form to `target`.
    """

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.send_header("Content-Type", "text/html")
            self.end_headers()
            form = f'<form method="post" action="{target}"><input name="FriendlyName" value="Planted"></form>'
            framed = f'<iframe src="{target.partition("/v1")[0]}/console"></iframe>'
            self.wfile.write(f"{framed}{form}<script>document.forms[0].submit()</script>".encode())

        def log_message(self, *_: object) -> None:
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f"http://localhost:{server.server_port}/"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def test_page_of_another_origin_can_neither_act_nor_show_the_console(
    browser: Browser, instance: RunningInstance, example: Example
) -> None:
    context = browser.new_context(http_credentials={"username": instance.account_sid, "password": instance.auth_token})
    page = context.new_page()
    page.goto(console_link(instance))
    page.get_by_role("heading", name="Conversations", level=1).wait_for()
    with foreign_page(f"{instance.url}/v1/Conversations") as url, page.expect_response("**/v1/Conversations") as posted:
        page.goto(url)
    assert posted.value.status == 403
    context.close()
    assert "Planted" not in {each.friendly_name for each in client(instance).conversations.list()}


def test_console_cannot_be_framed(browser: Browser, instance: RunningInstance) -> None:
    page = browser.new_page()
    violations: list[str] = []
    page.on("console", lambda message: violations.append(message.text))
    page.set_content(f'<iframe src="{instance.url}/console"></iframe>')
    page.wait_for_timeout(500)
    assert any("frame-ancestors" in each for each in violations)
    page.close()


# Everybody


def test_views_are_accessible(
    accessible: tuple[Page, CheckAccessibility], instance: RunningInstance, example: Example
) -> None:
    page, check = accessible
    page.goto(f"{instance.url}/console")
    page.get_by_role("heading", name="Sign in").wait_for()
    check("sign-in")
    page.goto(console_link(instance))
    page.get_by_role("heading", name="Conversations", level=1).wait_for()
    open_viewing(page, instance, example)
    check("conversation")
    page.get_by_role("button", name="Add", exact=True).click()
    check("dialog")
    page.get_by_role("button", name="Cancel").click()
    for view in VIEWS:
        go(page, view)
        page.wait_for_timeout(300)
        if page.locator("details.row").count():
            page.locator("details.row > summary").first.click()
            page.wait_for_timeout(300)
        check(view)


def test_keyboard_alone_is_enough(page: Page, instance: RunningInstance, example: Example) -> None:
    open_viewing(page, instance, example)
    page.keyboard.press("Tab")
    for _ in range(60):
        if page.evaluate("document.activeElement.name") == "body":
            break
        page.keyboard.press("Tab")
    page.keyboard.type("Typed")
    page.keyboard.press("Enter")
    expect(page.locator(".message").last).to_contain_text("Typed")
    go(page, "Timeline")
    assert page.evaluate("document.activeElement.tagName") == "H1"
    for _ in range(10):
        page.keyboard.press("Tab")
        if page.evaluate("document.activeElement.tagName") == "SUMMARY":
            break
    page.keyboard.press("Enter")
    expect(page.locator("details.row[open]")).to_have_count(1)


@pytest.mark.parametrize("view", VIEWS)
def test_every_view_of_an_empty_account_says_what_to_do(visit: Visit, view: str) -> None:
    with running() as empty:
        visit.page.goto(console_link(empty))
        visit.page.get_by_role("heading", name="Conversations", level=1).wait_for()
        go(visit.page, view)
        if view in ("Conversations", "Phones", "Timeline", "Requests"):
            expect(visit.page.locator(".empty pre").locator("visible=true")).to_have_count(1)
        visit.page.goto("about:blank")
