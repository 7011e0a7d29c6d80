"""`/healthz`: tells load balancers and container engines that the API answers. The request needs no credentials.

See docs/behaviour/requests-and-answers.md#health.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Literal

from convoke.api.contracts import Contract
from convoke.api.representations import Representation, json_response
from convoke.api.resources.description import Document
from convoke.api.responses import Response


class HealthRepresentation(Representation):
    status: Literal["ok"] = "ok"


FETCH = Contract("Health", HealthRepresentation)


def fetch(_: Mapping[str, Any], __: Callable[[], Document]) -> Response:
    return json_response(HealthRepresentation())
