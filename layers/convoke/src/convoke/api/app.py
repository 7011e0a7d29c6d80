"""The HTTP API. Requests and responses have the format of Amazon API Gateway (payload format 2.0)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from convoke.api.deferred import Deferred
from convoke.api.dispatch import Answer, Dispatcher, request_id
from convoke.api.operations import Operations
from convoke.api.origins import Origins
from convoke.api.requests import InvocationContext
from convoke.api.responses import Response
from convoke.api.routes import Route
from convoke.api.uploads import Upload


class Api:
    """The API of one program. Several threads may use this object at the same time."""

    def __init__(
        self,
        operations: Operations,
        extra_routes: Sequence[Route] = (),
        allowed_origins: Sequence[str] = (),
        path_delimiters: str = "",
        public_url: str | None = None,
        console_poll_seconds: int | None = None,
    ) -> None:
        """`extra_routes` are the routes that only some engines have, and the routes that carriers call.

        If `console_poll_seconds` is not None, the API also serves the console. See `Edges.console_poll_seconds`.

        Pages of `allowed_origins` may use the API in a browser. Raise InvalidOriginError if an origin is not valid.
        `path_delimiters` are the characters that a name in a request must not contain. See `Edges.path_delimiters`.

        `public_url` is the base URL of all URLs in responses. If `public_url` is None, the headers of a request
        determine the base URL.
        """
        self.origins = Origins(allowed_origins, public_url)
        self.conversation_waiter = operations.conversation_waiter
        self._dispatcher = Dispatcher(operations, extra_routes, path_delimiters, public_url, console_poll_seconds)
        self.rule_of = self._dispatcher.rule_of

    def answer(self, event: Mapping[str, Any], context: InvocationContext) -> Answer:
        """Return the response, or an object from which the engine gets the response later.

        With a `Deferred`, the engine waits until the participants are added. With an `Upload`, the engine passes the
        body of the request.
        """
        answered = self.origins.refusal(event) or self._dispatcher.answer(event, context)
        added = {"Twilio-Request-Id": request_id(context), **self.origins.headers(event)}
        if isinstance(answered, Deferred):
            return replace(answered, headers=added)
        answered.headers.update(added)
        return answered

    def respond(self, event: Mapping[str, Any], context: InvocationContext) -> Response:
        """Return the response. If the client prefers to wait, this thread waits."""
        answered = self.answer(event, context)
        if isinstance(answered, Response):
            return answered
        if isinstance(answered, Upload):
            return answered.respond_to_event()
        conversation = self.conversation_waiter.wait_until_initialized(answered.created, answered.seconds)
        return self.rendered(answered, conversation)

    def rendered(self, deferred: Deferred, conversation: Any) -> Response:
        """Return the response to a client that has waited. `conversation` is the conversation after the wait."""
        response = deferred.render(conversation)
        response.headers.update(deferred.headers)
        return response

    def resolve(self, event: Mapping[str, Any], context: InvocationContext) -> dict[str, Any]:
        """Return the response as a dictionary for API Gateway."""
        response = self.respond(event, context)
        return {"statusCode": response.status_code, "headers": response.headers, "body": response.body}
