"""The Powertools resolver of the API function on AWS. It has one route, which passes every request to `Api`."""

from __future__ import annotations

from aws_lambda_powertools.event_handler import APIGatewayHttpResolver
from aws_lambda_powertools.event_handler import Response as PowertoolsResponse

from convoke.api.app import Api

METHODS = ["GET", "POST", "DELETE", "PUT", "PATCH", "HEAD", "OPTIONS"]


def resolver_of(api: Api) -> APIGatewayHttpResolver:
    """Return a resolver. Only one thread may use the resolver. A Lambda environment handles one request at a time."""
    app = APIGatewayHttpResolver()

    def respond(*_: object) -> PowertoolsResponse[str]:
        answered = api.respond(app.current_event.raw_event, app.lambda_context)
        return PowertoolsResponse(answered.status_code, body=answered.body, headers={**answered.headers})

    app.route(".+", METHODS)(respond)
    # A request whose method is not in METHODS has no route. `Api` returns status 405 for such a request.
    app.not_found(respond)
    return app
