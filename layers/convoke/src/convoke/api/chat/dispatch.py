"""Find the route for a call of a chat client, and call the route's handler."""

from __future__ import annotations

import json
import logging
from collections.abc import Sequence
from dataclasses import replace
from typing import Any
from urllib.parse import unquote

from convoke.api.chat.requests import ChatAnswer, ChatRequest
from convoke.api.chat.routes import CHAT_ROUTES, ChatRoute
from convoke.api.errors import render
from convoke.api.operations import Operations
from convoke.api.routing import RoutingTree
from convoke.domain.errors import ConversationsError, InternalError, MethodNotAllowedError, NotFoundError

logger = logging.getLogger(__name__)


class ChatDispatcher:
    """Finds the route for each call and runs the route's handler.

    Several threads may use one dispatcher at the same time.
    """

    def __init__(self, operations: Operations, extra_routes: Sequence[ChatRoute] = ()) -> None:
        """Build the routing tree from CHAT_ROUTES and `extra_routes`.

        `extra_routes` are the routes whose handlers need an object that `Operations` does not have.
        """
        self._operations = operations
        self._root: RoutingTree[ChatRoute] = RoutingTree()
        for route in (*CHAT_ROUTES, *extra_routes):
            self._root.add(route.method, route.rule, route)

    def rule_of(self, path: str) -> str | None:
        """Return the rule (the path pattern) of the route for a path, or None if no route matches."""
        node = self._root.find(path, [])
        return node.rule if node else None

    def answer(self, request: ChatRequest, request_id: str) -> ChatAnswer:
        """Return the answer to a call. The body of an error has the same format as in the REST API.

        After an unexpected error, the log entry and the answer contain `request_id`.
        """
        try:
            return self._answered(request)
        except ConversationsError as error:
            return refused(error)
        except Exception:
            logger.exception("a call of a chat client failed", extra={"request_id": request_id})
            return refused(InternalError(request_id=request_id))

    def _answered(self, request: ChatRequest) -> ChatAnswer:
        values: list[str] = []
        node = self._root.find(request.path, values)
        if node is None:
            raise NotFoundError
        found = node.methods.get(request.method)
        if found is None:
            raise MethodNotAllowedError
        route, names = found
        # The request contains the account and the service as they were when the client connected. Fetch both again.
        account = self._operations.accounts.fetch(request.account.sid)
        service = self._operations.services.fetch(account.sid, request.service.sid)
        request = replace(request, account=account, service=service)
        return route.handler(self._operations, request, **dict(zip(names, map(unquote, values), strict=True)))


def refused(error: ConversationsError) -> ChatAnswer:
    """Return the answer that reports an error."""
    rendered = render(error)
    body: dict[str, Any] = json.loads(rendered.body)
    return ChatAnswer(rendered.status_code, body)
