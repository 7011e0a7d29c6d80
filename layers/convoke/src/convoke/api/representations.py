"""Define the base class and the date types of response bodies, and create responses."""

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
"""The date type in Twilio's resources except API keys. The resources Sender and Provisioning also use this type.

The dates have no fractions of a second.
"""

StreamDate = Annotated[
    AwareDatetime,
    PlainSerializer(to_milliseconds, when_used="json"),
    WithJsonSchema({"type": "string", "format": "date-time"}, mode="serialization"),
]
"""The date type in most resources under `/convoke`. The dates have milliseconds, as in webhooks."""


class Representation(BaseModel):
    """The body of a response, or an object in a body.

    If Twilio has the resource, the fields are in the same order as in Twilio's responses.
    """

    # Build each model at its first use. Building all models at import would slow every cold start.
    model_config = ConfigDict(defer_build=True)


def add_service_sid(
    request: ServiceRequest, representation: Representation, service_representation: type[Representation]
) -> Representation:
    """Add the field `chat_service_sid` if the request's path contains the service SID.

    The result is a `service_representation` with this field, or the unchanged `representation`. See
    docs/behaviour/requests-and-answers.md#two-trees.
    """
    if not request.service_in_path:
        return representation
    return service_representation(**representation.model_dump(), chat_service_sid=request.service.sid)


def json_response(
    body: Representation | str, status: int = 200, headers: Mapping[str, str] = MappingProxyType({})
) -> Response:
    """Return a response with a JSON body. `body` is a representation, or a string that is already JSON."""
    text = body if isinstance(body, str) else body.model_dump_json()
    return Response(status, JSON, text, headers={**headers})


def no_content() -> Response:
    return Response(204, body="")
