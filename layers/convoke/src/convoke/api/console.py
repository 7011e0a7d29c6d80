"""Serve the files of the console. See docs/console.md.

`dispatch.py` imports this module only if the engine has the console, and a client requests `/` or a path that begins
with `/console`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from convoke.api.errors import render
from convoke.api.responses import Response
from convoke.console import files
from convoke.console.files import ConsoleFile
from convoke.domain.errors import MethodNotAllowedError

PATH = "/console"

SECURITY_HEADERS = {
    "Content-Security-Policy": (
        "default-src 'self'; object-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none';"
        " require-trusted-types-for 'script'; trusted-types 'none'"
    ),
    "Cross-Origin-Opener-Policy": "same-origin",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
}
"""The headers of the page and of the other files. The content security policy forbids scripts from other servers.

The policy also forbids scripts inside the page. The console shows names and texts that strangers write, and these texts
could contain scripts.
"""

FOR_A_YEAR = "public, max-age=31536000, immutable"


def page(
    path: str, event: Mapping[str, Any], poll_seconds: int, rules: Iterable[str], public_url: str | None
) -> Response | None:
    """Return the page, a file of the console, or a redirect to the page. Return None for any other request.

    `rules` are the path patterns of the routes. Each pattern without a path parameter ends with the name of a resource.
    The page contains these names, because the console shows only the resources that the engine has.
    """
    headers: Mapping[str, str] = event.get("headers") or {}
    if path == "/":
        # Redirect only browsers. All other clients get the usual response for an unknown path.
        wants_page = "text/html" in headers.get("accept", "")
        return Response(302, headers={"Location": (public_url or "") + PATH}) if wants_page else None
    if path == PATH:
        resources = sorted({rule.rpartition("/")[2] for rule in rules if "<" not in rule})
        served = files.page({"poll_seconds": str(poll_seconds), "resources": " ".join(resources)})
        return file_response(served, event, {**SECURITY_HEADERS, "Cache-Control": "no-cache"})
    version, _, name = path.removeprefix(f"{PATH}/").partition("/")
    found = files.file(name) if version == files.version() else None
    return file_response(found, event, {**SECURITY_HEADERS, "Cache-Control": FOR_A_YEAR}) if found else None


def file_response(served: ConsoleFile, event: Mapping[str, Any], headers: Mapping[str, str]) -> Response:
    """Return a response with a file. Return status 304 if the browser already has this version of the file.

    Return status 405 for every method except GET.
    """
    if event["requestContext"]["http"]["method"] != "GET":
        refused = render(MethodNotAllowedError())
        refused.headers["Allow"] = "GET"
        return refused
    headers = {**headers, "ETag": served.tag}
    # Compare with `in`, because a proxy can add the prefix `W/` to the tag.
    if served.tag in (event.get("headers") or {}).get("if-none-match", ""):
        return Response(304, headers=headers)
    return Response(200, served.content_type, served.text, headers=headers)
