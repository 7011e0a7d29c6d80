"""People use the sample application of docs/chat.md in Chromium, with the unmodified chat SDK.

The page has a strict Content Security Policy.
"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from socket import socket
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, expect
from twilio.rest import Client

from tests.browser.conftest import Visit
from tests.support.processes import up

ROOT = Path(__file__).parents[2]

NODE = ROOT / "tests/node"

SDK = NODE / "node_modules/conversations-3/builds/twilio-conversations.min.js"


@dataclass(frozen=True)
class Sample:
    """The running sample application: its URL, and an SDK client for its account."""

    url: str
    client: Client

    @property
    def v1(self) -> Any:
        return self.client.conversations.v1


def free_port() -> int:
    with socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])


@pytest.fixture(scope="module")
def sdk() -> Path:
    """Return the path of the SDK's browser bundle. tests/node/package.json determines the version of the SDK."""
    if not SDK.exists():
        subprocess.run(["npm", "ci", "--silent", "--no-audit", "--no-fund"], cwd=NODE, check=True)
    return SDK


@pytest.fixture(scope="module")
def sample(sdk: Path) -> Iterator[Sample]:
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    with up("--data", ":memory:", environ={"CONVOKE_ALLOWED_ORIGINS": url}) as instance:
        client = instance.client
        client.api.base_url = instance.ready["url"]
        key = client.new_keys.create()
        environ = {
            "CONVOKE_URL": instance.ready["url"],
            "TWILIO_ACCOUNT_SID": instance.ready["account_sid"],
            "TWILIO_API_KEY": key.sid,
            "TWILIO_API_SECRET": key.secret,
            "CHAT_SERVICE_SID": client.conversations.v1.configuration().fetch().default_chat_service_sid,
            "CHAT_SDK": str(sdk),
            "PORT": str(port),
        }
        command = [sys.executable, "examples/chat/server.py"]
        with subprocess.Popen(command, cwd=ROOT, env=environ, stdout=subprocess.PIPE, text=True) as server:
            assert server.stdout is not None
            assert server.stdout.readline().strip() == url
            yield Sample(url, client)
            server.kill()


Enter = Callable[[str], Page]


@pytest.fixture
def enter(browser: Browser, sample: Sample) -> Iterator[Enter]:
    """Return a function that opens the page for an identity.

    After the test, the browser must not have reported an error or a violation of the Content Security Policy.
    """
    visits: list[Visit] = []

    def enter(identity: str) -> Page:
        visit = Visit(browser)
        visits.append(visit)
        visit.page.goto(f"{sample.url}/?identity={identity}")
        expect(visit.page.get_by_role("status")).to_have_text("connected")
        return visit.page

    yield enter
    for visit in visits:
        visit.page.context.close()
    assert [problem for visit in visits for problem in visit.problems] == []


@contextmanager
def reloading(page: Page) -> Iterator[None]:
    """Reload the page while the block runs. After the block, wait until the page is connected again."""
    page.evaluate("setTimeout(() => location.reload(), 0)")
    yield
    expect(page.get_by_role("status")).to_have_text("connected")


def send(page: Page, text: str) -> None:
    page.get_by_label("Message").fill(text)
    page.get_by_role("button", name="Send").click()


def bodies(page: Page) -> list[str]:
    return page.locator("#messages li").all_text_contents()


def invite(page: Page, other: str) -> None:
    page.get_by_label("Invite").fill(other)
    page.get_by_role("button", name="Start a conversation").click()
    expect(page.get_by_label("Conversation", exact=True)).not_to_have_value("")


def test_two_people_chat(enter: Enter) -> None:
    alice, bob = enter("alice"), enter("bob")
    invite(alice, "bob")
    expect(bob.get_by_role("option", name="alice and bob")).to_be_attached()
    send(alice, "Grüße 👋 你好")
    for page in (alice, bob):
        expect(page.get_by_text("alice: Grüße 👋 你好")).to_be_visible()
    bob.get_by_label("Message").press_sequentially("Hi")
    expect(alice.get_by_text("bob is typing")).to_be_visible()
    bob.get_by_role("button", name="Send").click()
    expect(alice.get_by_text("bob: Hi")).to_be_visible()


def test_message_that_arrives_while_a_page_loads_again_is_shown_once(enter: Enter) -> None:
    carol, dave = enter("carol"), enter("dave")
    invite(carol, "dave")
    expect(dave.get_by_role("option", name="carol and dave")).to_be_attached()
    expected = []
    for number in range(3):
        with reloading(dave):
            for part in range(5):
                expected.append(f"carol: Message {number}.{part}")
                send(carol, f"Message {number}.{part}")
                expect(carol.get_by_text(expected[-1])).to_be_visible()
        expect(dave.locator("#messages li")).to_have_count(len(expected))
        assert bodies(dave) == expected


def test_person_comes_back_after_an_absence(enter: Enter, sample: Sample) -> None:
    erin, frank = enter("erin"), enter("frank")
    invite(erin, "frank")
    send(erin, "Before")
    expect(frank.get_by_text("erin: Before")).to_be_visible()
    frank.close()
    send(erin, "While away")
    sid = erin.get_by_label("Conversation", exact=True).input_value()
    sample.v1.conversations(sid).update(friendly_name="Renamed", state="inactive")
    back = enter("frank")
    expect(back.get_by_role("option", name="Renamed")).to_be_attached()
    expect(back.get_by_text("erin: While away")).to_be_visible()
    back.close()
    sample.v1.conversations(sid).participants("frank").delete()
    removed = enter("frank")
    expect(removed.get_by_role("option")).to_have_count(0)


def test_policy_of_the_page_is_strict(sample: Sample, browser: Browser) -> None:
    page = browser.new_page()
    response = page.goto(sample.url)
    assert response is not None
    policy = response.headers["content-security-policy"]
    assert policy.startswith("default-src 'none'; script-src 'self';")
    assert "unsafe" not in policy
    page.context.close()
