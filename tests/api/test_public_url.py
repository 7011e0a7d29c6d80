"""If an instance has a public URL, every URL of the API in a response starts with it.

See docs/deploy-to-aws.md#your-own-url.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from tests.support.examples import chat
from tests.support.instances import EmbeddedInstance, held_instance

PUBLIC_URL = "https://example.com/chat"


@pytest.fixture
def proxied() -> Iterator[EmbeddedInstance]:
    """Run an instance with a public URL.

    The tests send requests as a proxy forwards them: without the host and the path prefix of the public URL.
    """
    with held_instance(public_url=PUBLIC_URL) as instance:
        yield instance


def urls(part: Any) -> Iterator[str]:
    match part:
        case str() if part.startswith("http"):
            yield part
        case dict():
            yield from (url for value in part.values() for url in urls(value))
        case list():
            yield from (url for value in part for url in urls(value))


def test_all_urls_in_responses_begin_with_the_public_url(proxied: EmbeddedInstance) -> None:
    created = proxied.client().conversations.v1.conversation_with_participants.create(participant=chat(1))
    proxied.work()
    conversation = f"/v1/Conversations/{created.sid}"
    paths = [
        "/v1/Conversations",
        conversation,
        f"{conversation}/Participants",
        f"/convoke/v1/Conversations/{created.sid}/Provisioning",
        f"/v1/Services/{proxied.account.default_chat_service_sid}",
        "/v1/Services?PageSize=1",
        "/convoke/v1/Events",
        "/v1/Alerts",
    ]
    for path in paths:
        found = [*urls(proxied.call("GET", path).body)]
        assert found, path
        assert [url for url in found if not url.startswith(f"{PUBLIC_URL}/")] == [], path


def test_description_names_the_public_url_as_its_server(proxied: EmbeddedInstance) -> None:
    assert proxied.call("GET", "/openapi.json").body["servers"] == [{"url": PUBLIC_URL}]


def test_next_page_is_found_through_the_public_url(proxied: EmbeddedInstance) -> None:
    for _ in range(3):
        proxied.client().conversations.v1.conversations.create()
    path, sids = "/v1/Conversations?PageSize=2", []
    while True:
        page = proxied.call("GET", path).body
        sids += [each["sid"] for each in page["conversations"]]
        if page["meta"]["next_page_url"] is None:
            break
        path = page["meta"]["next_page_url"].removeprefix(PUBLIC_URL)
    assert len(set(sids)) == 3
