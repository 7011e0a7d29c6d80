"""`/openapi.json`: the API as it describes itself, to anybody."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from functools import cache
from typing import Any

from aws_lambda_powertools.event_handler import Response

from convoke.api.contracts import Contract
from convoke.api.representations import Representation, answer


class DescriptionRepresentation(Representation):
    openapi: str
    info: dict[str, str]
    security: list[dict[str, list[str]]]
    paths: dict[str, dict[str, object]]
    components: dict[str, dict[str, object]]


FETCH = Contract(
    "Description",
    DescriptionRepresentation,
    statuses=(200, 304),
    headers=("If-None-Match",),
    answered_headers=("ETag",),
)


def fetch(event: Mapping[str, Any]) -> Response[str]:
    text, tag = _described()
    known = tag in (event.get("headers") or {}).get("if-none-match", "")
    return answer("" if known else text, 304 if known else 200, {"ETag": tag})


@cache
def _described() -> tuple[str, str]:
    """The text, and the tag that changes with it. Made at the first request, so that no cold start pays for it."""
    from convoke.api.openapi import document

    text = json.dumps(document())
    return text, f'"{hashlib.sha256(text.encode()).hexdigest()[:32]}"'
