"""What every representation shares: whole seconds, and no field that a client does not know."""

from __future__ import annotations

from typing import Annotated

from aws_lambda_powertools.event_handler import Response
from pydantic import AwareDatetime, BaseModel, PlainSerializer

from convoke.api.errors import JSON
from convoke.domain.instants import to_seconds

RestDate = Annotated[AwareDatetime, PlainSerializer(to_seconds, when_used="json")]
"""A moment in a REST body."""

CORS = {
    "Access-Control-Allow-Origin": "*",
    "Access-Control-Allow-Methods": "GET, POST, DELETE, OPTIONS",
    "Access-Control-Allow-Headers": "Accept, Authorization, Content-Type, If-Match, If-Modified-Since, "
    "If-None-Match, If-Unmodified-Since, X-Twilio-Webhook-Enabled",
    "Access-Control-Allow-Credentials": "true",
    "Access-Control-Expose-Headers": "ETag, Twilio-Request-Id",
}
"""On every answer with a resource in it (reference, a.0)."""


class Representation(BaseModel):
    """The body of an answer, its fields in Twilio's order."""


def answer(body: Representation | str, status: int = 200) -> Response[str]:
    text = body if isinstance(body, str) else body.model_dump_json()
    return Response(status, JSON, text, headers=dict(CORS))
