"""The base class of all representations, their date types, and the responses that carry them."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Annotated

from pydantic import AwareDatetime, BaseModel, ConfigDict, PlainSerializer, WithJsonSchema

from convoke.api.errors import JSON
from convoke.api.requests import ServiceRequest
from convoke.api.responses import Response
from convoke.domain.instants import to_milliseconds, to_seconds

RestDate = Annotated[
    AwareDatetime,
    PlainSerializer(to_seconds, when_used="json"),
    WithJsonSchema({"type": "string", "format": "date-time"}, mode="serialization"),
]
"""A date in a resource of Twilio's API, in whole seconds."""

StreamDate = Annotated[
    AwareDatetime,
    PlainSerializer(to_milliseconds, when_used="json"),
    WithJsonSchema({"type": "string", "format": "date-time"}, mode="serialization"),
]
"""A date in a resource under `/convoke`, in milliseconds as in webhooks."""

CORS = {
    "Access-Control-Allow-Origin": "*",
    "Access-Control-Allow-Methods": "GET, POST, DELETE, OPTIONS",
    "Access-Control-Allow-Headers": "Accept, Authorization, Content-Type, Idempotency-Key, If-Match, "
    "If-Modified-Since, If-None-Match, If-Unmodified-Since, Prefer, X-Twilio-Webhook-Enabled",
    "Access-Control-Allow-Credentials": "true",
    "Access-Control-Expose-Headers": "ETag, Idempotent-Replayed, Preference-Applied, Twilio-Request-Id",
}
"""The headers of every response that has a body and is not an error.

See docs/behaviour/requests-and-answers.md#cors.
"""


class Representation(BaseModel):
    """The body of a response, with its fields in Twilio's order."""

    # Built at the first use: building all models at import would slow every cold start.
    model_config = ConfigDict(defer_build=True)


def add_service_sid(
    request: ServiceRequest, representation: Representation, service_representation: type[Representation]
) -> Representation:
    """Return `representation`, with the field `chat_service_sid` added if the path names the service.

    See docs/behaviour/requests-and-answers.md#two-trees.
    """
    if not request.service_in_path:
        return representation
    return service_representation(**representation.model_dump(), chat_service_sid=request.service.sid)


def json_response(
    body: Representation | str, status: int = 200, headers: Mapping[str, str] = MappingProxyType({})
) -> Response:
    """Return a response with a representation, or with a body that is JSON already."""
    text = body if isinstance(body, str) else body.model_dump_json()
    return Response(status, JSON, text, headers={**CORS, **headers})


def no_content() -> Response:
    return Response(204, body="")
