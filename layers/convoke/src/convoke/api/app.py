"""The API: a gateway event in, a gateway answer out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from convoke.api.deferred import Deferred
from convoke.api.dispatch import Dispatcher, request_id
from convoke.api.operations import Operations
from convoke.api.requests import InvocationContext
from convoke.api.responses import Response
from convoke.api.routes import AccountRoute


class Api:
    """Any number of threads may use one object at once."""

    def __init__(self, operations: Operations, extra_routes: Sequence[AccountRoute] = ()) -> None:
        """`extra_routes` are routes that only one engine has; `/openapi.json` does not list them."""
        self.conversation_waiter = operations.conversation_waiter
        self._dispatcher = Dispatcher(operations, extra_routes)

    def answer(self, event: Mapping[str, Any], context: InvocationContext) -> Response | Deferred:
        """Answer one request without waiting for what happens after its commit."""
        answered = self._dispatcher.answer(event, context)
        if isinstance(answered, Response):
            answered.headers["Twilio-Request-Id"] = request_id(context)
        return answered

    def respond(self, event: Mapping[str, Any], context: InvocationContext) -> Response:
        """Answer one request, and wait in this thread if the client prefers that."""
        answered = self.answer(event, context)
        if isinstance(answered, Response):
            return answered
        conversation = self.conversation_waiter.wait_until_initialized(answered.created, answered.seconds)
        return self.rendered(answered, conversation, context)

    def rendered(self, deferred: Deferred, conversation: Any, context: InvocationContext) -> Response:
        """Return the answer of a request that has waited."""
        response = deferred.render(conversation)
        response.headers["Twilio-Request-Id"] = request_id(context)
        return response

    def resolve(self, event: Mapping[str, Any], context: InvocationContext) -> dict[str, Any]:
        """Answer one request in the form that API Gateway takes."""
        response = self.respond(event, context)
        return {"statusCode": response.status_code, "headers": response.headers, "body": response.body}
