"""Handle the HTTP requests of one program.

Requests and responses have the format of Amazon API Gateway (payload format 2.0).
"""

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
    """The HTTP API of one program. Several threads may use this object at the same time."""

    def __init__(
        self,
        operations: Operations,
        extra_routes: Sequence[Route] = (),
        allowed_origins: Sequence[str] = (),
        path_delimiters: str = "",
        public_url: str | None = None,
        console_poll_seconds: int | None = None,
    ) -> None:
        """Create the API. Raise InvalidOriginError if one of the `allowed_origins` is not valid.

        - `extra_routes`: the routes that only one engine has, and the routes that carriers call.
        - `allowed_origins`: the origins whose web pages may call the API from a browser.
        - `path_delimiters`: the characters that new unique names and identities must not contain. See
          `Edges.path_delimiters`.
        - `public_url`: the base URL of the API in all links to the API. If None, the headers of each request determine
          the base URL.
        - `console_poll_seconds`: how many seconds the console waits between two requests for new events. If None, the
          API does not serve the console.
        """
        self.origins = Origins(allowed_origins, public_url)
        self.conversation_waiter = operations.conversation_waiter
        self._dispatcher = Dispatcher(operations, extra_routes, path_delimiters, public_url, console_poll_seconds)
        self.rule_of = self._dispatcher.rule_of
        self.is_public = self._dispatcher.is_public

    def answer(self, event: Mapping[str, Any], context: InvocationContext) -> Answer:
        """Return the response, or an object with which the engine gets the response: a `Deferred` or an `Upload`.

        For a `Deferred`, the engine must first wait until the conversation leaves `initializing`, or until
        `Deferred.seconds` have passed. For an `Upload`, the engine must first pass the request body to the upload.
        """
        answered = self.origins.refusal(event) or self._dispatcher.answer(event, context)
        added = {"Twilio-Request-Id": request_id(context), **self.origins.headers(event)}
        if isinstance(answered, Deferred):
            return replace(answered, headers=added)
        answered.headers.update(added)
        return answered

    def respond(self, event: Mapping[str, Any], context: InvocationContext) -> Response:
        """Return the response. If the client asked to wait for the participants, block the thread during the wait."""
        answered = self.answer(event, context)
        if isinstance(answered, Response):
            return answered
        if isinstance(answered, Upload):
            return answered.respond_to_event()
        conversation = self.conversation_waiter.wait_until_initialized(answered.created, answered.seconds)
        return self.rendered(answered, conversation)

    def rendered(self, deferred: Deferred, conversation: Any) -> Response:
        """Return the response after the wait. `conversation` is the conversation at the end of the wait."""
        response = deferred.render(conversation)
        response.headers.update(deferred.headers)
        return response

    def resolve(self, event: Mapping[str, Any], context: InvocationContext) -> dict[str, Any]:
        """Return the response as a dictionary for API Gateway."""
        response = self.respond(event, context)
        return {"statusCode": response.status_code, "headers": response.headers, "body": response.body}
