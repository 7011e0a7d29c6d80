"""`/convoke/v1/SignatureChecks`: checks whether a signature matches a webhook request, and if not, finds out why.

See docs/behaviour/webhook-delivery.md.
"""

from __future__ import annotations

from convoke.api.contracts import Contract
from convoke.api.operations import Operations
from convoke.api.parameters import FORM_NAMES, parse
from convoke.api.representations import Representation, json_response
from convoke.api.requests import Request
from convoke.api.responses import Response
from convoke.domain.signature_checks import NewSignatureCheck


class CreateSignatureCheck(NewSignatureCheck):
    model_config = FORM_NAMES


class SignatureCheckRepresentation(Representation):
    account_sid: str
    matches: bool
    mistakes: list[str] | None


CREATE = Contract("SignatureCheck", SignatureCheckRepresentation, form=CreateSignatureCheck)


def create(operations: Operations, request: Request) -> Response:
    """Check a signature. The status is 200 instead of 201, because a check stores nothing."""
    check = operations.signature_checks.create(request.account.sid, parse(CreateSignatureCheck, request.form))
    representation = SignatureCheckRepresentation(
        account_sid=request.account.sid, matches=check.matches, mistakes=check.mistakes
    )
    return json_response(representation)
