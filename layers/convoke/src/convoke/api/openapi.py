"""Generate the OpenAPI 3.1 document from the routes, their contracts and their models.

`dispatch.py` imports this module only when a client requests the document, because this module imports pydantic's JSON
Schema generator. That import would slow every cold start.
"""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Iterable, Sequence
from http import HTTPStatus

from convoke.api.callers import CHAT_USER_HEADER, accepts_chat_users
from convoke.api.contracts import Contract
from convoke.api.errors import JSON
from convoke.api.form import FORM, MULTIPART
from convoke.api.idempotency import IDEMPOTENT_REPLAYED
from convoke.api.origins import SAFE_METHODS
from convoke.api.pagination import DEFAULT_PAGE_SIZE
from convoke.api.path_values import PATH_VALUES
from convoke.api.preferences import MAX_PREFERRED_WAIT_SECONDS, PREFER, PREFERENCE_APPLIED
from convoke.api.requests import WEBHOOK_ENABLED
from convoke.api.routes import ROUTES, AccountRoute, PublicRoute, Route, ServiceRoute
from convoke.api.schemas import (
    Schema,
    components,
    form_component,
    query_parameters,
    reference,
    rest_page_properties,
    sid,
)
from convoke.domain import errors
from convoke.domain.errors import ConversationsError
from convoke.domain.idempotency import IDEMPOTENCY_KEY
from convoke.domain.media import SHOWN_TYPES
from convoke.domain.sids import Prefix

DESCRIPTION = (
    "An API that is compatible with Twilio Conversations v1. Requests need the SID and the Auth Token of an account, or"
    " the SID and the secret of an API key."
)

REQUEST_HEADERS: dict[str, Schema] = {
    WEBHOOK_ENABLED: {
        "type": "string",
        "enum": ["true", "false"],
        "default": "false",
        "description": "Whether webhooks get the events that the request causes.",
    },
    IDEMPOTENCY_KEY: {
        "type": "string",
        "pattern": "^[ -~]{1,255}$",
        "description": "For 24 hours, the same request with the same key gets the first response again.",
    },
    PREFER: {
        "type": "string",
        "examples": ["wait=10"],
        "description": "Waits at most that many seconds, and at most"
        f" {MAX_PREFERRED_WAIT_SECONDS}, until the state changes.",
    },
    "If-None-Match": {"type": "string", "description": "The `ETag` of a response. If it still matches, 304."},
}

RESPONSE_HEADERS: dict[str, Schema] = {
    "Twilio-Request-Id": {"type": "string", "description": "The request id in the log."},
    IDEMPOTENT_REPLAYED: {"type": "string", "const": "true", "description": "The response was stored before."},
    PREFERENCE_APPLIED: {"type": "string", "examples": ["wait=10"], "description": "The wait that was granted."},
    "ETag": {"type": "string"},
}

PAGING = {
    "Page": {"type": "string", "description": "Has no effect: PageToken selects the page."},
    "PageToken": {"type": "string", "description": "The token of a URL in `meta`."},
}
"""The query parameters of every list with pages, in addition to PageSize and the filters."""

UPLOAD_FORM = {"type": "object", "description": "The first file in the form is the content."}

ANY_TYPE = "*/*"

STATUSES_WITHOUT_BODY = frozenset({HTTPStatus.NO_CONTENT, HTTPStatus.FOUND, HTTPStatus.NOT_MODIFIED})

CREDENTIALS = {
    "type": "http",
    "scheme": "basic",
    "description": "Account SID and Auth Token, or SID and secret of an API key.",
}

ACCESS_TOKEN = {
    "type": "apiKey",
    "in": "header",
    "name": CHAT_USER_HEADER,
    "description": "The access token of a chat user.",
}

TOKEN_ERRORS = frozenset(
    {
        errors.AccessTokenExpiredError,
        errors.AccessTokenNotYetValidError,
        errors.InvalidAccessTokenError,
        errors.InvalidGrantsError,
        errors.InvalidIssuerError,
        errors.InvalidSignatureError,
    }
)
"""The errors that an invalid access token of a chat user causes."""


def members(extra_routes: Sequence[Route] = ()) -> str:
    """Return the OpenAPI document as JSON, without the outer braces.

    `document_of` adds the URL of the server and the braces.
    """
    return json.dumps(document(extra_routes)).removeprefix("{").removesuffix("}")


def document(extra_routes: Sequence[Route] = ()) -> Schema:
    """Return the OpenAPI document of `ROUTES` and `extra_routes`, without the URL of the server.

    `extra_routes` are routes that exist in only one engine.
    """
    routes = (*ROUTES, *extra_routes)
    schemas = components([route.contract for route in routes])
    return {
        "openapi": "3.1.0",
        "info": {"title": "Convoke", "version": "v1", "description": DESCRIPTION},
        "tags": _tags(routes),
        "security": [{"basic": []}],
        "paths": _paths(routes, schemas),
        "components": {"schemas": schemas, "securitySchemes": {"basic": CREDENTIALS, "chat": ACCESS_TOKEN}},
    }


def _tags(routes: Iterable[Route]) -> list[dict[str, str]]:
    """Return the name and the description of each resource.

    The description comes from the first line of the docstring of the module that contains the resource's handlers.
    """
    # Sort the resources: first the resources of a service, then of the account, then those without authentication.
    kinds = (ServiceRoute, AccountRoute, PublicRoute)
    ordered = sorted(routes, key=lambda route: kinds.index(type(route)))
    modules = {_tag(route): sys.modules[route.handler.__module__] for route in ordered}
    return [{"name": name, "description": _first_sentence(module.__doc__ or "")} for name, module in modules.items()]


def _tag(route: Route) -> str:
    """Return the name of a route's resource, such as `Participant conversations`."""
    words = route.handler.__module__.rpartition(".")[2].removesuffix("_api").replace("_", " ").capitalize()
    return _with_acronym(words)


def _with_acronym(words: str) -> str:
    return re.sub(r"\bapi\b", "API", words, flags=re.IGNORECASE)


def _first_sentence(docstring: str) -> str:
    """Return the first line of a docstring, without the path at the start of the line."""
    line = docstring.partition("\n")[0]
    sentence = line.partition(": ")[2] or line
    return sentence[:1].upper() + sentence[1:]


def _paths(routes: Iterable[Route], schemas: dict[str, Schema]) -> dict[str, Schema]:
    paths: dict[str, Schema] = {}
    for route in routes:
        for rule in route.rules:
            path = re.sub(r"<(\w+)>", r"{\1}", rule)
            paths.setdefault(path, {})[route.method.lower()] = _operation(route, rule, schemas)
    return paths


def _operation(route: Route, rule: str, schemas: dict[str, Schema]) -> Schema:
    contract, service_in_path = route.contract, "<chat_service_sid>" in rule
    verb = route.handler.__name__.removesuffix("_")
    operation: Schema = {
        "operationId": f"{verb}{'Service' if service_in_path else ''}{contract.resource}",
        "summary": f"{_summary(verb, contract.resource)}{' in a service' if service_in_path else ''}",
        "tags": [_tag(route)],
        "parameters": [*_path_parameters(rule), *_query_parameters(contract), *_header_parameters(contract)],
        "responses": _responses(contract, service_in_path=service_in_path) | _error_responses(_errors(route, rule)),
    }
    if name := form_component(contract):
        operation["requestBody"] = _body(name, schemas[name])
    if contract.json:
        operation["requestBody"] = {"required": True, "content": {JSON: {"schema": reference(contract.json.__name__)}}}
    if contract.uploads:
        operation["requestBody"] = {"required": True, "content": {ANY_TYPE: {}, MULTIPART: {"schema": UPLOAD_FORM}}}
    if isinstance(route, PublicRoute):
        operation["security"] = []
    elif accepts_chat_users(rule):
        operation["security"] = [{"basic": []}, {"chat": []}]
    return operation


def _summary(verb: str, resource: str) -> str:
    """Name the operation in words, such as `List participant conversations`."""
    return _with_acronym(f"{verb.capitalize()} {re.sub('(?<=[a-z])(?=[A-Z])', ' ', resource).lower()}")


def _path_parameters(rule: str) -> Iterable[Schema]:
    for resource, name in re.findall(r"(\w+)/<(\w+)>", rule):
        yield {"name": name, "in": "path", "required": True, **_described(path_value(resource, rule))}


def path_value(resource: str, rule: str) -> Schema:
    """Return the schema of a path value. `resource` is the part before the value: `Users` in `/Users/<sid>`."""
    if resource not in PATH_VALUES:
        raise LookupError(
            f"PATH_VALUES in api/path_values.py has no entry {resource!r}, which the route {rule} needs: "
            f"add the SID prefix of the value, or a schema"
        )
    value = PATH_VALUES[resource]
    return sid(value) if isinstance(value, Prefix) else {"type": "string", **value}


def _query_parameters(contract: Contract) -> Iterable[Schema]:
    parameters = query_parameters(contract.query) if contract.query else {}
    if contract.page:
        parameters = parameters | {"PageSize": _page_size(contract)} | PAGING
    return ({"name": name, "in": "query", **_described(schema)} for name, schema in parameters.items())


def _described(schema: Schema) -> Schema:
    """Move the description of a parameter or a header out of its schema.

    Viewers do not show a description that is inside the schema.
    """
    inner = {key: value for key, value in schema.items() if key != "description"}
    return {"schema": inner} | ({"description": schema["description"]} if "description" in schema else {})


def _page_size(contract: Contract) -> Schema:
    description = f"From 1 to {contract.max_page_size}. A value outside is replaced by the nearest one inside."
    default = min(DEFAULT_PAGE_SIZE, contract.max_page_size)
    return {"type": "integer", "default": default, "description": description}


def _header_parameters(contract: Contract) -> Iterable[Schema]:
    return ({"name": name, "in": "header", **_described(REQUEST_HEADERS[name])} for name in contract.request_headers)


def _body(name: str, form: Schema) -> Schema:
    """Describe a request body that is a form.

    In a URL-encoded form, a client must repeat the name for each value of a list. `explode` says so. A multipart form
    needs no `explode`, because every value has its own part.
    """
    lists = [name for name, schema in form["properties"].items() if schema.get("type") == "array"]
    encoding = {name: {"style": "form", "explode": True} for name in lists}
    url_encoded = {"schema": reference(name)} | ({"encoding": encoding} if lists else {})
    return {"required": "required" in form, "content": {FORM: url_encoded, MULTIPART: {"schema": reference(name)}}}


def _responses(contract: Contract, *, service_in_path: bool) -> Schema:
    """Describe the successful responses. The keys of the result are the statuses."""
    names = ("Twilio-Request-Id", *contract.response_headers)
    headers = {name: _described(RESPONSE_HEADERS[name]) for name in names}
    body = _response_body(contract, service_in_path=service_in_path)
    content = {each: {} for each in SHOWN_TYPES} if contract.downloads else {JSON: {"schema": body}}
    return {
        str(status): {"description": HTTPStatus(status).phrase, "headers": headers}
        | ({} if status in STATUSES_WITHOUT_BODY else {"content": content})
        for status in contract.statuses
    }


def _response_body(contract: Contract, *, service_in_path: bool) -> Schema:
    """Return the schema of a response body: one resource, a list of resources, or a page of resources."""
    representation = (contract.service_representation if service_in_path else None) or contract.representation
    if representation is None:
        return {}
    resource = reference(representation.__name__)
    if contract.array:
        return {"type": "array", "items": resource}
    if contract.page is None:
        return resource
    meta = rest_page_properties() if contract.rest_page else {"meta": reference("Meta")}
    properties = {**meta, contract.page: {"type": "array", "items": resource}}
    return {"type": "object", "properties": properties, "required": list(properties)}


def _errors(route: Route, rule: str) -> set[type[ConversationsError]]:
    """Return the errors to describe for an operation.

    The errors come from the contract, from the form and the query, and from checks that many routes share.
    """
    contract = route.contract
    form_errors = [error for model in (contract.form, contract.query) if model for error in model.order_of_checks]
    possible: set[type[ConversationsError]] = {errors.InternalError, *contract.errors, *form_errors}
    if isinstance(route, PublicRoute):
        return possible
    # The embedded engine raises UnavailableError if the data file is not writable, or if the load is too high for a
    # request that writes.
    possible |= {errors.NotAuthenticatedError, errors.UnavailableError}
    if accepts_chat_users(rule):
        possible |= TOKEN_ERRORS
    if route.method not in SAFE_METHODS:  # The API refuses cross-site requests.
        possible.add(errors.AccessDeniedError)
    if "<" in rule:  # A path value can be the SID of a resource that does not exist.
        possible.add(errors.NotFoundError)
    if WEBHOOK_ENABLED in contract.request_headers:
        possible.add(errors.WebhookRejectedError)
    # `contract.page` is in this condition, because the parameters PageSize and PageToken can be invalid.
    if contract.form or contract.json or contract.page or contract.request_headers:
        possible.add(errors.InvalidParameterError)
    return possible


def _error_responses(possible: Iterable[type[ConversationsError]]) -> Schema:
    by_status: dict[int, list[type[ConversationsError]]] = {}
    for error in sorted(possible, key=lambda each: each.code):
        by_status.setdefault(error.status, []).append(error)
    return {str(status): _error_response(status, several) for status, several in sorted(by_status.items())}


def _error_response(status: int, several: list[type[ConversationsError]]) -> Schema:
    codes = {"properties": {"code": {"enum": [error.code for error in several]}}}
    listed = "\n".join(f"- {error.code} `{error.rule}`: {_without_placeholders(error.text)}" for error in several)
    content = {"schema": {"allOf": [reference("Error"), codes]}, "example": _error_example(several[0])}
    return {"description": f"{HTTPStatus(status).phrase}\n\n{listed}", "content": {JSON: content}}


def _error_example(error: type[ConversationsError]) -> Schema:
    message = _without_placeholders(error.text)
    return {
        "code": error.code,
        "message": message,
        "more_info": errors.more_info_url(error.code),
        "status": error.status,
    }


def _without_placeholders(text: str) -> str:
    """Replace each placeholder of an error message, such as `{limit}`, by `…`."""
    return re.sub(r"{\w+}", "…", text)
