"""What every representation shares: whole seconds, and no field that a client does not know."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Annotated

from aws_lambda_powertools.event_handler import Response
from pydantic import AwareDatetime, BaseModel, ConfigDict, PlainSerializer, WithJsonSchema

from convoke.api.errors import JSON
from convoke.api.requests import ServiceRequest
from convoke.domain.instants import to_milliseconds, to_seconds

RestDate = Annotated[
    AwareDatetime,
    PlainSerializer(to_seconds, when_used="json"),
    WithJsonSchema({"type": "string", "format": "date-time"}, mode="serialization"),
]
"""A moment in a REST body."""

StreamDate = Annotated[
    AwareDatetime,
    PlainSerializer(to_milliseconds, when_used="json"),
    WithJsonSchema({"type": "string", "format": "date-time"}, mode="serialization"),
]
"""A moment as webhooks and streams have it: of what is ours, and no SDK reads."""

CORS = {
    "Access-Control-Allow-Origin": "*",
    "Access-Control-Allow-Methods": "GET, POST, DELETE, OPTIONS",
    "Access-Control-Allow-Headers": "Accept, Authorization, Content-Type, Idempotency-Key, If-Match, "
    "If-Modified-Since, If-None-Match, If-Unmodified-Since, Prefer, X-Twilio-Webhook-Enabled",
    "Access-Control-Allow-Credentials": "true",
    "Access-Control-Expose-Headers": "ETag, Idempotent-Replayed, Preference-Applied, Twilio-Request-Id",
}
"""On every answer with a resource in it (reference, a.0)."""


class Representation(BaseModel):
    """The body of an answer, its fields in Twilio's order."""

    model_config = ConfigDict(defer_build=True)


def in_tree(request: ServiceRequest, common: Representation, in_service: type[Representation]) -> Representation:
    """In the service tree some resources name their service besides (reference, a.0)."""
    return common if request.short else in_service(**common.model_dump(), chat_service_sid=request.service.sid)


def answer(
    body: Representation | str, status: int = 200, headers: Mapping[str, str] = MappingProxyType({})
) -> Response[str]:
    text = body if isinstance(body, str) else body.model_dump_json()
    return Response(status, JSON, text, headers={**CORS, **headers})


def no_content() -> Response[str]:
    return Response(204, body="")
