"""Serve `/docs`: the Swagger UI for `/openapi.json`. See docs/api-coverage.md#openapi.

The files of the Swagger UI are in a package that the extra `docs` installs. See
docs/decisions/0122-swagger-ui-from-powertools.md.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from convoke.api.console import SECURITY_HEADERS, file_response
from convoke.api.responses import Response
from convoke.console.files import ConsoleFile, file_of

PATH = "/docs"

OWN = Path(__file__).parent / "static"

PACKAGE, FOLDER = "aws_lambda_powertools", "event_handler/openapi/swagger_ui"
"""The package with the Swagger UI, and the folder of the Swagger UI inside the package."""

NOT_INSTALLED = f"{PATH} needs the Swagger UI: install Convoke with the extra `docs`, in a checkout with `make setup`\n"

HEADERS = {
    **SECURITY_HEADERS,
    # The style sheet of the Swagger UI contains `data:` images, so allow such images. The Swagger UI creates elements
    # from strings, so do not require trusted types.
    "Content-Security-Policy": (
        "default-src 'self'; img-src 'self' data:; object-src 'none'; base-uri 'none'; form-action 'none';"
        " frame-ancestors 'none'"
    ),
    "Cache-Control": "no-cache",
}


def page(event: Mapping[str, Any]) -> Response | None:
    """Return the page `/docs`, or a file that the page loads. Return None for any other path.

    If the Swagger UI is not installed, return a 404 response for `/docs` and for every path below `/docs`.
    """
    path: str = event["rawPath"]
    if path != PATH and not path.startswith(f"{PATH}/"):
        return None
    # `find_spec` finds the package without a slow import.
    package = find_spec(PACKAGE)
    if package is None or package.origin is None:
        return Response(404, "text/plain; charset=utf-8", NOT_INSTALLED)
    found = _files(Path(package.origin).parent / FOLDER).get(path.removeprefix(PATH))
    return file_response(found, event, HEADERS) if found else None


@cache
def _files(viewer: Path) -> Mapping[str, ConsoleFile]:
    """Return the page and its files. Each key is the part of the path after `/docs`.

    `viewer` is the folder of the Swagger UI.
    """
    javascript, css = "text/javascript; charset=utf-8", "text/css; charset=utf-8"
    return {
        "": file_of("text/html; charset=utf-8", (OWN / "docs.html").read_text()),
        "/docs.js": file_of(javascript, (OWN / "docs.js").read_text()),
        "/swagger-ui.js": file_of(javascript, (viewer / "swagger-ui-bundle.min.js").read_text()),
        "/swagger-ui.css": file_of(css, (viewer / "swagger-ui.min.css").read_text()),
    }
