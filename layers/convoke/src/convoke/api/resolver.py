"""Connect the API function on AWS to `Api`. The Powertools resolver has one route for all paths."""

from __future__ import annotations

from aws_lambda_powertools.event_handler import APIGatewayHttpResolver
from aws_lambda_powertools.event_handler import Response as PowertoolsResponse

from convoke.api.app import Api

METHODS = ["GET", "POST", "DELETE", "PUT", "PATCH", "HEAD", "OPTIONS"]


def resolver_of(api: Api) -> APIGatewayHttpResolver:
    """Create the resolver. Only one thread at a time may use the resolver.

    On AWS, one thread is enough, because a Lambda environment handles one request at a time.
    """
    app = APIGatewayHttpResolver()

    def respond(*_: object) -> PowertoolsResponse[str]:
        answered = api.respond(app.current_event.raw_event, app.lambda_context)
        return PowertoolsResponse(answered.status_code, body=answered.body, headers={**answered.headers})

    app.route(".+", METHODS)(respond)
    # For a request whose method is not in METHODS, the resolver finds no route. `Api` then returns status 405.
    app.not_found(respond)
    return app
