"""The description of the API: an OpenAPI 3.1 document, made of the routes and the models that serve them.

Only `description.py` imports this, at the first request for it.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from http import HTTPStatus

from convoke.api.contracts import Contract
from convoke.api.errors import JSON
from convoke.api.form import FORM
from convoke.api.idempotency import IDEMPOTENT_REPLAYED
from convoke.api.pagination import DEFAULT_PAGE_SIZE
from convoke.api.preferences import MAX_WAIT_SECONDS, PREFER, PREFERENCE_APPLIED
from convoke.api.requests import WEBHOOK_ENABLED
from convoke.api.routes import ACCOUNT_ROUTES, PUBLIC_ROUTES, SERVICE_ROUTES, AccountRoute, PublicRoute, ServiceRoute
from convoke.api.schemas import Schema, components, form_component, query_parameters, reference, sid
from convoke.domain import errors
from convoke.domain.errors import ConversationsError
from convoke.domain.idempotency import IDEMPOTENCY_KEY
from convoke.domain.sids import Prefix

Route = PublicRoute | AccountRoute | ServiceRoute

ROUTES: tuple[Route, ...] = (*PUBLIC_ROUTES, *ACCOUNT_ROUTES, *SERVICE_ROUTES)

NAMED: Schema = {"type": "string", "description": "A SID or a unique name."}

PATH_VALUES = {
    "Services": sid(Prefix.SERVICE),
    "Conversations": NAMED,
    "Participants": {"type": "string", "description": "A SID or an identity."},
    "Messages": sid(Prefix.MESSAGE),
    "Receipts": sid(Prefix.RECEIPT),
    "Webhooks": sid(Prefix.WEBHOOK),
    "Events": {"type": "string", "pattern": f"^{Prefix.CHANGE}[0-9a-fA-F]{{32}}-[0-9]+$"},
    "Alerts": sid(Prefix.ALERT),
}
"""What a value in a path is, by the part that stands before it."""

HEADERS = {
    WEBHOOK_ENABLED: {"type": "string", "enum": ["true", "false"], "default": "false"},
    IDEMPOTENCY_KEY: {
        "type": "string",
        "pattern": "^[ -~]{1,255}$",
        "description": "For 24 hours the same request with the same key gets the first answer.",
    },
    PREFER: {
        "type": "string",
        "examples": ["wait=10"],
        "description": f"Waits that many seconds, {MAX_WAIT_SECONDS} at the most, for the end of `initializing`.",
    },
    "If-None-Match": {"type": "string"},
}

ANSWERED_HEADERS = {
    "Twilio-Request-Id": {"type": "string", "description": "What the request is logged under."},
    IDEMPOTENT_REPLAYED: {"type": "string", "const": "true"},
    PREFERENCE_APPLIED: {"type": "string", "examples": ["wait=10"]},
    "ETag": {"type": "string"},
}

PAGING = {
    "Page": {"type": "integer", "description": "For show: a page is found by its token."},
    "PageToken": {"type": "string", "description": "Of a URL in `meta`."},
}
"""Of every list."""

BODILESS = frozenset({HTTPStatus.NO_CONTENT, HTTPStatus.NOT_MODIFIED})

CREDENTIALS = {
    "type": "http",
    "scheme": "basic",
    "description": "Account SID and Auth Token, or SID and secret of an API key.",
}


def document() -> Schema:
    schemas = components([route.contract for route in ROUTES])
    return {
        "openapi": "3.1.0",
        "info": {"title": "Convoke", "version": "v1"},
        "security": [{"basic": []}],
        "paths": _paths(schemas),
        "components": {"schemas": schemas, "securitySchemes": {"basic": CREDENTIALS}},
    }


def _paths(schemas: dict[str, Schema]) -> dict[str, Schema]:
    paths: dict[str, Schema] = {}
    for route in ROUTES:
        for rule in route.rules:
            path = re.sub(r"<(\w+)>", r"{\1}", rule)
            paths.setdefault(path, {})[route.method.lower()] = _operation(route, rule, schemas)
    return paths


def _operation(route: Route, rule: str, schemas: dict[str, Schema]) -> Schema:
    contract, in_service = route.contract, "<chat_service_sid>" in rule
    verb = route.handler.__name__.removesuffix("_")
    operation: Schema = {
        "operationId": f"{verb}{'Service' if in_service else ''}{contract.resource}",
        "tags": [route.handler.__module__.rpartition(".")[2]],
        "parameters": [*_path_parameters(rule), *_query_parameters(contract), *_header_parameters(contract)],
        "responses": _answers(contract, in_service=in_service) | _refusals(_errors(route, rule)),
    }
    if name := form_component(contract):
        operation["requestBody"] = _body(name, schemas[name])
    if isinstance(route, PublicRoute):
        operation["security"] = []
    return operation


def _path_parameters(rule: str) -> Iterable[Schema]:
    for resource, name in re.findall(r"(\w+)/<(\w+)>", rule):
        yield {"name": name, "in": "path", "required": True, "schema": PATH_VALUES[resource]}


def _query_parameters(contract: Contract) -> Iterable[Schema]:
    if contract.page:
        filters = query_parameters(contract.query) if contract.query else {}
        known = filters | {"PageSize": _page_size(contract)} | PAGING
        yield from ({"name": name, "in": "query", "schema": schema} for name, schema in known.items())


def _page_size(contract: Contract) -> Schema:
    description = f"From 1 to {contract.max_page_size}; what is beyond is taken for the nearest of them."
    default = min(DEFAULT_PAGE_SIZE, contract.max_page_size)
    return {"type": "integer", "default": default, "description": description}


def _header_parameters(contract: Contract) -> Iterable[Schema]:
    return ({"name": name, "in": "header", "schema": HEADERS[name]} for name in contract.headers)


def _body(name: str, form: Schema) -> Schema:
    """Values of a list are sent one by one, under the same name."""
    lists = [name for name, schema in form["properties"].items() if schema.get("type") == "array"]
    encoding = {name: {"style": "form", "explode": True} for name in lists}
    content = {"schema": reference(name)} | ({"encoding": encoding} if lists else {})
    return {"required": "required" in form, "content": {FORM: content}}


def _answers(contract: Contract, *, in_service: bool) -> Schema:
    names = ("Twilio-Request-Id", *contract.answered_headers)
    headers = {name: {"schema": ANSWERED_HEADERS[name]} for name in names}
    body = _answered(contract, in_service=in_service)
    return {
        str(status): {"description": HTTPStatus(status).phrase, "headers": headers}
        | ({} if status in BODILESS else {"content": {JSON: {"schema": body}}})
        for status in contract.statuses
    }


def _answered(contract: Contract, *, in_service: bool) -> Schema:
    """One resource, or a page of them."""
    representation = (contract.in_service if in_service else None) or contract.representation
    if representation is None:
        return {}
    resource = reference(representation.__name__)
    if contract.page is None:
        return resource
    properties = {"meta": reference("Meta"), contract.page: {"type": "array", "items": resource}}
    return {"type": "object", "properties": properties, "required": list(properties)}


def _errors(route: Route, rule: str) -> set[type[ConversationsError]]:
    """What an operation can be refused for: itself, the form it takes, and whatever comes before them."""
    contract = route.contract
    checked = [error for model in (contract.form, contract.query) if model for error in model.order_of_checks]
    possible: set[type[ConversationsError]] = {errors.InternalError, *contract.errors, *checked}
    if isinstance(route, PublicRoute):
        return possible
    possible.add(errors.NotAuthenticatedError)
    if "<" in rule:
        possible.add(errors.NotFoundError)
    if WEBHOOK_ENABLED in contract.headers:
        possible.add(errors.WebhookRejectedError)
    if contract.form or contract.page or contract.headers:
        possible.add(errors.InvalidParameterError)
    return possible


def _refusals(possible: Iterable[type[ConversationsError]]) -> Schema:
    by_status: dict[int, list[type[ConversationsError]]] = {}
    for error in sorted(possible, key=lambda each: each.code):
        by_status.setdefault(error.status, []).append(error)
    return {str(status): _refusal(status, several) for status, several in sorted(by_status.items())}


def _refusal(status: int, several: list[type[ConversationsError]]) -> Schema:
    codes = {"properties": {"code": {"enum": [error.code for error in several]}}}
    told = "\n".join(f"- {error.code} `{error.rule}`: {_filled(error.text)}" for error in several)
    schema = {"allOf": [reference("Error"), codes]}
    return {"description": f"{HTTPStatus(status).phrase}\n\n{told}", "content": {JSON: {"schema": schema}}}


def _filled(text: str) -> str:
    """With what differs from case to case as `…`."""
    return re.sub(r"{\w+}", "…", text)
