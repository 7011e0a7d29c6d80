"""A person reads the API description at `/docs` and sends a request. See docs/api-coverage.md#openapi."""

from __future__ import annotations

from urllib.parse import parse_qs

from playwright.sync_api import Page, expect

from convoke.api.openapi_examples import load_examples
from convoke.testing.instance import RunningInstance
from tests.browser.conftest import Visit

FILES = 5
"""The number of files that the page loads: the page, the style sheet, two scripts and the API description."""


def open_docs(visit: Visit, instance: RunningInstance) -> Page:
    visit.page.goto(f"{instance.url}/docs")
    expect(visit.page.get_by_role("heading", name="Convoke", level=1)).to_be_visible()
    visit.page.get_by_text("Conversation with participants", exact=True).click()
    return visit.page


def test_docs_list_an_operation_and_load_only_from_this_server(visit: Visit, instance: RunningInstance) -> None:
    requested: list[str] = []
    visit.page.on("request", lambda request: requested.append(request.url))
    page = open_docs(visit, instance)
    expect(page.get_by_text("/v1/ConversationWithParticipants", exact=True)).to_be_visible()
    expect(page.get_by_text("Create conversation with participants", exact=True)).to_be_visible()
    assert len(requested) == FILES
    assert [url for url in requested if not url.startswith(f"{instance.url}/")] == []


def test_example_of_a_form_is_filled_in_and_accepted(visit: Visit, instance: RunningInstance) -> None:
    page = open_docs(visit, instance)
    page.get_by_role("button", name="Authorize", exact=True).click()
    page.get_by_label("auth-basic-username").fill(instance.account_sid)
    page.get_by_label("auth-basic-password").fill(instance.auth_token)
    # The first form takes the credentials of an account. The second form takes an access token.
    page.get_by_role("button", name="Apply credentials").first.click()
    page.get_by_role("button", name="Close").first.click()
    page.get_by_text("Create conversation with participants", exact=True).click()
    page.get_by_role("button", name="Try it out").click()
    with page.expect_response("**/v1/ConversationWithParticipants") as answered:
        page.get_by_role("button", name="Execute").click()
    assert answered.value.status == 202
    sent = parse_qs(answered.value.request.post_data or "")
    example = load_examples()["CreateConversationWithParticipants"]
    assert sent == {name: value if isinstance(value, list) else [value] for name, value in example.items()}
    instance.settle()
    assert instance.client().conversations.v1.conversations(example["UniqueName"]).fetch().state == example["State"]
