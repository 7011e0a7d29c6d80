"""The embedded engine serves `/docs`, a page that shows the OpenAPI document.

See docs/api-coverage.md#openapi. tests/browser/test_api_docs.py opens the page in a browser.
"""

from __future__ import annotations

import asyncio

import pytest

from convoke.api.responses import Response
from convoke.embedded import api_docs
from tests.support.aws import moto_instance
from tests.support.instances import ORIGIN, EmbeddedInstance, event_of


def answer(instance: EmbeddedInstance, path: str, method: str = "GET", **headers: str) -> Response:
    async def asked() -> Response:
        async with instance.served():
            assert instance.gateway
            return await instance.gateway.answer(event_of(method, ORIGIN + path, headers=headers))

    return asyncio.run(asked())


@pytest.mark.parametrize(
    ("path", "content_type"),
    [
        ("/docs", "text/html"),
        ("/docs/docs.js", "text/javascript"),
        ("/docs/swagger-ui.js", "text/javascript"),
        ("/docs/swagger-ui.css", "text/css"),
    ],
)
def test_page_and_its_files_need_no_credentials(embedded: EmbeddedInstance, path: str, content_type: str) -> None:
    found = answer(embedded, path)
    assert (found.status_code, found.headers["Content-Type"]) == (200, f"{content_type}; charset=utf-8")
    policy = found.headers["Content-Security-Policy"]
    assert "default-src 'self'" in policy
    assert "unsafe" not in policy
    assert "http" not in policy


def test_browser_that_has_the_page_gets_304(embedded: EmbeddedInstance) -> None:
    tag = api_docs.page(event_of("GET", f"{ORIGIN}/docs")).headers["ETag"]  # type: ignore[union-attr]
    assert answer(embedded, "/docs", **{"If-None-Match": f"W/{tag}"}).status_code == 304


def test_other_method_is_refused(embedded: EmbeddedInstance) -> None:
    refused = answer(embedded, "/docs", "POST")
    assert (refused.status_code, refused.headers["Allow"]) == (405, "GET")


@pytest.mark.parametrize("path", ["/docs/", "/docs/../secrets", "/docs/html.py", "/docsx"])
def test_other_paths_are_not_files(embedded: EmbeddedInstance, path: str) -> None:
    assert answer(embedded, path).status_code == 401


def test_missing_package_is_one_clear_line(embedded: EmbeddedInstance, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(api_docs, "PACKAGE", "package_that_is_not_installed")
    missing = answer(embedded, "/docs")
    assert (missing.status_code, missing.headers["Content-Type"]) == (404, "text/plain; charset=utf-8")
    assert missing.body == (
        "/docs needs the Swagger UI: install Convoke with the extra `docs`, in a checkout with `make setup`\n"
    )


def test_aws_has_no_such_page() -> None:
    with moto_instance() as instance:
        assert instance.call("GET", "/docs").status == 404
