"""The API serves the console's files on every engine, unless the console is turned off. See docs/console.md."""

from __future__ import annotations

import re

import pytest

from convoke.console.files import CONTENT_TYPES, FOLDER
from convoke.embedded.gateway import RequestContext
from tests.support.instances import ORIGIN, Answer, EmbeddedInstance, Instance, event_of, held_instance


def fetch(instance: Instance, path: str, method: str = "GET", **headers: str) -> Answer:
    answered = instance.api(event_of(method, ORIGIN + path, headers=headers), RequestContext())
    return Answer(answered["statusCode"], answered["headers"], answered["body"])


def assets(page: Answer) -> list[str]:
    return re.findall(r'(?:href|src)="(console/[^"]+)"', page.text)


@pytest.mark.each_engine
def test_page_is_served_without_credentials(instance: Instance) -> None:
    page = fetch(instance, "/console")
    assert (page.status, page.headers["Content-Type"]) == (200, "text/html; charset=utf-8")
    assert page.headers["Cache-Control"] == "no-cache"
    for path in assets(page):
        assert fetch(instance, f"/{path}").status == 200
    polls = {"embedded": 2, "aws": 10}["embedded" if isinstance(instance, EmbeddedInstance) else "aws"]
    assert f'data-poll-seconds="{polls}"' in page.text
    listed = re.search('data-resources="([^"]*)"', page.text)
    assert listed
    assert ("Requests" in listed[1].split()) is isinstance(instance, EmbeddedInstance)
    assert {"Conversations", "Events", "Keys"} <= set(listed[1].split())


def test_every_file_is_cached_for_a_year_under_a_path_with_a_hash(embedded: EmbeddedInstance) -> None:
    (version,) = {path.split("/")[1] for path in assets(fetch(embedded, "/console"))}
    for name, content_type in CONTENT_TYPES.items():
        served = fetch(embedded, f"/console/{version}/{name}")
        assert (served.status, served.headers["Content-Type"]) == (200, content_type)
        assert served.headers["Cache-Control"] == "public, max-age=31536000, immutable"
        known = fetch(embedded, f"/console/{version}/{name}", **{"If-None-Match": served.headers["ETag"]})
        assert (known.status, known.text) == (304, "")
    assert len(CONTENT_TYPES) <= 5


@pytest.mark.parametrize(
    "path",
    [
        "/console/",
        "/consoles",
        "/console/x/base.js",
        "/console/{}/index.html",
        "/console/{}/../files.py",
        "/console/{}/",
    ],
)
def test_other_paths_are_not_served(embedded: EmbeddedInstance, path: str) -> None:
    version = assets(fetch(embedded, "/console"))[0].split("/")[1]
    assert fetch(embedded, path.replace("{}", version)).status == 401


def test_browser_at_the_root_is_led_to_the_console(embedded: EmbeddedInstance) -> None:
    led = fetch(embedded, "/", Accept="text/html,application/xhtml+xml")
    assert (led.status, led.headers["Location"]) == (302, "/console")
    assert fetch(embedded, "/", Accept="application/json").status == 401


def test_root_leads_to_the_console_under_the_public_url() -> None:
    with held_instance(public_url="https://example.com/chat") as instance:
        assert fetch(instance, "/", Accept="text/html").headers["Location"] == "https://example.com/chat/console"


def test_page_cannot_be_changed(embedded: EmbeddedInstance) -> None:
    refused = fetch(embedded, "/console", "POST")
    assert (refused.status, refused.headers["Allow"]) == (405, "GET")


def test_policy_allows_only_files_of_the_server(embedded: EmbeddedInstance) -> None:
    headers = fetch(embedded, "/console").headers
    policy = dict(each.strip().partition(" ")[::2] for each in headers["Content-Security-Policy"].split(";"))
    assert policy["default-src"] == "'self'"
    assert policy["require-trusted-types-for"] == "'script'"
    assert policy["frame-ancestors"] == "'none'"
    assert not {"script-src", "style-src", "connect-src"} & set(policy)
    assert headers["X-Content-Type-Options"] == "nosniff"
    text = fetch(embedded, "/console").text
    assert not re.search(r"<script(?![^>]*src=)|\son\w+=|style=|https?://", text)


def test_console_can_be_turned_off() -> None:
    with held_instance(console_poll_seconds=None) as instance:
        for path in ("/", "/console"):
            assert fetch(instance, path, Accept="text/html").status == 401


def test_script_has_at_most_2500_lines() -> None:
    lines = sum(len(path.read_text().splitlines()) for path in FOLDER.glob("*.js"))
    assert lines <= 2500
