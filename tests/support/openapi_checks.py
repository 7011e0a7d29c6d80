"""Check API responses against `/openapi.json`."""

from __future__ import annotations

import json
import re
from functools import cache
from http import HTTPStatus
from typing import Any, NamedTuple

from jsonschema import Draft202012Validator, FormatChecker

from convoke.api.contracts import Contract
from convoke.api.form import FORM
from convoke.api.openapi import document
from convoke.api.requests import CONVOKE_PREFIX
from convoke.domain.errors import AccessDeniedError, MethodNotAllowedError, NotAuthenticatedError, NotFoundError
from convoke.embedded import (
    clock_api,
    console_api,
    controls_api,
    missing_controls,
    request_log,
    request_log_api,
    simulate_api,
    simulate_routes,
)

Schema = dict[str, Any]

OF_ONE_MACHINE = {
    ("GET", CONVOKE_PREFIX + missing_controls.CLOCK): clock_api.FETCH,
    ("POST", CONVOKE_PREFIX + missing_controls.CLOCK): clock_api.UPDATE,
    ("POST", CONVOKE_PREFIX + missing_controls.RESET): controls_api.RESET_CONTRACT,
    ("POST", CONVOKE_PREFIX + missing_controls.ACCOUNTS): controls_api.ACCOUNTS_CONTRACT,
    ("POST", CONVOKE_PREFIX + missing_controls.SETTLE): controls_api.SETTLE_CONTRACT,
    ("POST", CONVOKE_PREFIX + missing_controls.FAILURES): controls_api.FAILURES_CONTRACT,
    ("DELETE", CONVOKE_PREFIX + missing_controls.FAILURES): controls_api.CANCEL_CONTRACT,
    ("GET", CONVOKE_PREFIX + request_log.PATH): request_log_api.FETCH,
    ("POST", console_api.PATH): console_api.CREATE,
    ("GET", CONVOKE_PREFIX + simulate_routes.INBOX): simulate_api.LIST,
    ("GET", CONVOKE_PREFIX + simulate_routes.THREAD): simulate_api.LIST_THREAD,
    ("GET", CONVOKE_PREFIX + simulate_routes.PHONES): simulate_api.LIST_PHONES,
    ("GET", CONVOKE_PREFIX + simulate_routes.PHONE): simulate_api.FETCH,
    ("POST", CONVOKE_PREFIX + simulate_routes.STATUS): simulate_api.REPORT,
    ("POST", CONVOKE_PREFIX + simulate_routes.PHONE): simulate_api.PLAN,
    ("POST", CONVOKE_PREFIX + simulate_routes.SEND): simulate_api.CREATE,
}
"""Contracts of routes that only the embedded engine has. `operations` does not include these routes."""

CODES_WITHOUT_OPERATION = {
    error.code for error in (NotAuthenticatedError, AccessDeniedError, NotFoundError, MethodNotAllowedError)
}
"""Error codes of responses to requests that match no operation."""


class Operation(NamedTuple):
    method: str
    path: str
    description: Schema

    @property
    def id(self) -> str:
        name: str = self.description["operationId"]
        return name

    @property
    def form(self) -> dict[str, Schema]:
        """Return a mapping from each form parameter to its schema."""
        return {name: resolved(schema) for name, schema in self._form.get("properties", {}).items()}

    @property
    def required(self) -> list[str]:
        """Return the names of the required form parameters."""
        names: list[str] = self._form.get("required", [])
        return names

    @property
    def _form(self) -> Schema:
        """Return the schema of the form. The schema is the same for all media types.

        Return an empty schema if the request body is not a form.
        """
        content = self.description.get("requestBody", {}).get("content", {}).get(FORM)
        return resolved(content["schema"]) if content else {}

    @property
    def statuses(self) -> set[int]:
        """Return the possible HTTP statuses of a successful response."""
        return {int(status) for status in self.description["responses"] if status < "400"}

    @property
    def codes(self) -> set[int]:
        """Return the possible error codes of a failed response."""
        refusals = [answer for status, answer in self.description["responses"].items() if status >= "400"]
        schemas = [answer["content"]["application/json"]["schema"]["allOf"][1] for answer in refusals]
        return {code for schema in schemas for code in schema["properties"]["code"]["enum"]}


@cache
def operations() -> dict[str, Operation]:
    """Return a mapping from each operation id to its operation."""
    found = [
        Operation(method.upper(), path, description)
        for path, item in document()["paths"].items()
        for method, description in item.items()
    ]
    return {operation.id: operation for operation in found}


def operation_of(method: str, path: str) -> Operation | None:
    for operation in operations().values():
        pattern = re.sub(r"{\w+}", "[^/]+", operation.path)
        if operation.method == method and re.fullmatch(pattern, path, re.DOTALL):
            return operation
    return None


def resolved(schema: Schema) -> Schema:
    """Resolve the schema's `$ref`. A schema without `$ref` is returned as it is."""
    found: Schema = _components()[schema["$ref"].rpartition("/")[2]] if "$ref" in schema else schema
    return found


@cache
def _components() -> dict[str, Schema]:
    components: dict[str, Schema] = document()["components"]["schemas"]
    return components


def check_against_openapi(method: str, path: str, status: int, text: str) -> None:
    """Raise AssertionError if an API response contradicts the description of its operation in `/openapi.json`.

    If the document does not describe the operation, check the response against the contract in OF_ONE_MACHINE.
    """
    operation = operation_of(method, path)
    # A browser sends a preflight request before the actual request. `/openapi.json` describes no preflight requests.
    if method == "OPTIONS" and status == HTTPStatus.NO_CONTENT:
        assert text == ""
        return
    if operation is None and status < 400:
        contract = contract_of_one_machine(method, path)
        assert contract, f"{method} {path} is served but not described: give its route a contract"
        assert status in contract.statuses
        assert set(json.loads(text or "{}")) == ({"meta", contract.page} if contract.page else fields_of(contract))
        return
    if operation is None:
        contract = contract_of_one_machine(method, path)
        of_form = contract.form.order_of_checks if contract and contract.form else ()
        of_contract = {error.code for error in (*contract.errors, *of_form)} if contract else set()
        assert json.loads(text)["code"] in CODES_WITHOUT_OPERATION | of_contract
        return
    validator = _validator(operation.id, status)
    if validator is None:
        assert not text, f"{operation.id} must answer {status} without a body, as its contract says"
        return
    wrong = [f"{error.json_path}: {error.message}" for error in validator.iter_errors(json.loads(text))]
    assert not wrong, f"the response {status} of {operation.id} does not match its contract: {wrong}"


def contract_of_one_machine(method: str, path: str) -> Contract | None:
    for (served, rule), contract in OF_ONE_MACHINE.items():
        if served == method and re.fullmatch(re.sub(r"<\w+>", "[^/]+", rule), path):
            return contract
    return None


def fields_of(contract: Contract) -> set[str]:
    return set(contract.representation.model_fields) if contract.representation else set()


@cache
def _validator(operation_id: str, status: int) -> Draft202012Validator | None:
    """Return a validator for the response body. Return None if no JSON body is described for the status."""
    responses = operations()[operation_id].description["responses"]
    assert str(status) in responses, f"the contract of {operation_id} does not name the status {status}"
    content = responses[str(status)].get("content")
    if content is None or "application/json" not in content:
        return None
    schema = {**content["application/json"]["schema"], "components": {"schemas": _components()}}
    return Draft202012Validator(closed(schema), format_checker=FormatChecker())


def closed(schema: Any) -> Any:
    """Return a copy of the schema in which objects allow only the described properties.

    An object with its own `additionalProperties` keeps this value. With the copy, tests notice fields that are missing
    from `/openapi.json`.
    """
    if isinstance(schema, list):
        return [closed(part) for part in schema]
    if not isinstance(schema, dict):
        return schema
    parts = {key: closed(part) for key, part in schema.items()}
    return {"additionalProperties": False, **parts} if {"type", "properties"} <= set(schema) else parts
