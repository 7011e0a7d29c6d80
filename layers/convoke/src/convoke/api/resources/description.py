"""`/openapi.json`: the OpenAPI document of the API, available without authentication.

See docs/behaviour/requests-and-answers.md.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from convoke.api.contracts import Contract
from convoke.api.representations import Representation, json_response
from convoke.api.responses import Response


class DescriptionRepresentation(Representation):
    openapi: str
    servers: list[dict[str, str]]
    info: dict[str, str]
    tags: list[dict[str, str]]
    security: list[dict[str, list[str]]]
    paths: dict[str, dict[str, object]]
    components: dict[str, dict[str, object]]


class Document(NamedTuple):
    """The OpenAPI document as JSON, and its ETag."""

    text: str
    tag: str


FETCH = Contract(
    "Description",
    DescriptionRepresentation,
    statuses=(200, 304),
    request_headers=("If-None-Match",),
    response_headers=("ETag",),
)


def fetch(event: Mapping[str, Any], document: Callable[[], Document]) -> Response:
    """Return the OpenAPI document. Return status 304 if the client already has the current document."""
    text, tag = document()
    # Compare with `in`. The header can contain several tags, and a proxy can add the prefix `W/` to a tag.
    is_known = tag in (event.get("headers") or {}).get("if-none-match", "")
    return json_response("" if is_known else text, 304 if is_known else 200, {"ETag": tag})


def document_of(members: str, base_url: str) -> Document:
    """Return the document for clients that reach the API at `base_url`.

    `members` is the JSON text of the document without `servers` and without the outer braces.
    """
    text = f'{{"servers": [{{"url": {json.dumps(base_url)}}}], {members}}}'
    return Document(text, f'"{hashlib.sha256(text.encode()).hexdigest()[:32]}"')
