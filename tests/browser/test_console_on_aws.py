"""A person uses the console of a deployment on MiniStack."""

from __future__ import annotations

import pytest
from playwright.sync_api import expect
from twilio.rest import Client

from convoke.cli.ministack import deployed
from tests.browser.conftest import Visit
from tests.support.examples import CHAT_AND_SMS

pytestmark = [pytest.mark.xdist_group("aws-stack"), pytest.mark.timeout(300)]

SLOW_MILLISECONDS = 60_000
"""The maximum wait for the console.

On MiniStack, a cold start takes about a second. The console polls every ten seconds.
"""


def test_console_of_a_deployment_shows_what_happens(visit: Visit) -> None:
    page = visit.page
    with deployed() as stack:
        page.goto(f"{stack.url}/console")
        page.get_by_label("Account SID or API key SID").fill(stack.account_sid)
        page.get_by_label("Auth Token or API key secret").fill(stack.auth_token)
        page.get_by_role("button", name="Sign in").click()
        heading = page.get_by_role("heading", name="No conversations yet")
        expect(heading).to_be_visible(timeout=SLOW_MILLISECONDS)
        navigation = page.get_by_role("navigation")
        expect(navigation.get_by_role("link", name="API keys")).to_be_visible()
        # The console of a deployment does not have these views: a process of a deployment knows only its own requests,
        # and the clock of AWS cannot be moved.
        for missing in ("Requests", "Clock"):
            expect(navigation.get_by_role("link", name=missing)).to_have_count(0)
        client = Client(stack.account_sid, stack.auth_token)
        client.conversations.base_url = stack.url
        client.conversations.v1.conversation_with_participants.create(
            friendly_name="From the SDK", participant=CHAT_AND_SMS
        )
        row = page.locator("a.item", has_text="From the SDK")
        expect(row.locator(".badge")).to_have_text("active", timeout=SLOW_MILLISECONDS)
        row.click()
        expect(page.locator(".member")).to_have_count(2, timeout=SLOW_MILLISECONDS)
        page.get_by_label("Message", exact=True).fill("Written in the console")
        page.get_by_role("button", name="Send").click()
        expect(page.locator(".message")).to_contain_text("Written in the console", timeout=SLOW_MILLISECONDS)
        navigation.get_by_role("link", name="Phones").click()
        expect(page.get_by_role("heading", name="No phone is simulated here")).to_be_visible(timeout=SLOW_MILLISECONDS)
        page.get_by_role("link", name="Show the senders").click()
        expect(page.get_by_text("fail with 21703")).to_be_visible(timeout=SLOW_MILLISECONDS)
        navigation.get_by_role("link", name="Timeline").click()
        added = page.locator("details.row", has_text="onMessageAdded")
        expect(added).to_contain_text("Written in the console", timeout=SLOW_MILLISECONDS)
        page.goto("about:blank")
