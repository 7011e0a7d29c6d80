"""The contract of each route agrees with the route's handler.

Other tests check `/openapi.json`, which is generated from the contracts.
"""

from __future__ import annotations

import dis
import importlib
import re
import subprocess
import sys
from collections.abc import Iterator
from types import FunctionType

import pytest

from convoke.api import parameters
from convoke.api.openapi import REQUEST_HEADERS, document
from convoke.api.preferences import PREFER
from convoke.api.requests import WEBHOOK_ENABLED
from convoke.api.routes import ROUTES, Route
from convoke.api.schemas import query_parameters
from convoke.domain.errors import MethodNotAllowedError
from convoke.domain.idempotency import IDEMPOTENCY_KEY
from convoke.domain.model import Model
from tests.support.error_table import raised
from tests.support.openapi_checks import operations

EVERY_ROUTE = pytest.mark.parametrize("route", ROUTES, ids=lambda route: f"{route.method} {route.rules[-1]}")

FORMS = {
    name
    for module in (parameters, *(importlib.import_module(route.handler.__module__) for route in ROUTES))
    for name, model in vars(module).items()
    if isinstance(model, type) and issubclass(model, Model) and model.model_config.get("alias_generator")
}
"""The names of all models that parse a form or a query."""

READERS = {WEBHOOK_ENABLED: "request_webhooks", IDEMPOTENCY_KEY: "parse_idempotency_key", PREFER: "preferred_wait"}
"""Maps a header to the function or attribute that reads the header."""


def names_used(function: FunctionType) -> Iterator[str]:
    """Yield the names that a handler uses, directly or through functions of the same module."""
    for instruction in dis.get_instructions(function):
        if instruction.opname in ("LOAD_GLOBAL", "LOAD_ATTR", "LOAD_METHOD"):
            yield instruction.argval
        called = function.__globals__.get(instruction.argval) if instruction.opname == "LOAD_GLOBAL" else None
        if isinstance(called, FunctionType) and called.__module__ == function.__module__:
            yield from names_used(called)


def used_by(route: Route) -> set[str]:
    assert isinstance(route.handler, FunctionType)
    return set(names_used(route.handler))


def contract_of(route: Route) -> str:
    """Return the name of the route's contract for the messages of failed assertions."""
    return f"the contract of {route.handler.__name__} in {route.handler.__module__}"


@EVERY_ROUTE
def test_contract_names_the_form_that_the_handler_reads(route: Route) -> None:
    named = {model.__name__ for model in (route.contract.form, route.contract.query) if model}
    assert used_by(route) & FORMS == named, f"{contract_of(route)}: `form` or `query` must be what the handler parses"
    read = "read_participants" in used_by(route)
    assert read == route.contract.participants, f"{contract_of(route)}: `participants` must be {read}"


@EVERY_ROUTE
def test_contract_names_the_headers_that_the_handler_reads(route: Route) -> None:
    read = {header for header, name in READERS.items() if name in used_by(route)}
    named = set(route.contract.request_headers) & set(READERS)
    assert read == named, f"{contract_of(route)}: `request_headers` must name {sorted(read)}"


@EVERY_ROUTE
def test_contract_of_a_paginated_list_names_the_page_key(route: Route) -> None:
    paged = bool({"Pagination", "RestPagination"} & used_by(route))
    assert paged == (route.contract.page is not None), f"{contract_of(route)}: `page` must be set: {paged}"


def test_every_documented_header_is_covered_by_these_tests() -> None:
    assert set(READERS) == set(REQUEST_HEADERS) - {"If-None-Match"}


def test_every_form_belongs_to_a_route() -> None:
    named = [model for route in ROUTES for model in (route.contract.form, route.contract.query) if model]
    unused = FORMS - {model.__name__ for model in named}
    assert unused == set(), "no contract names these forms as `form` or `query`"


CHAT_CODES = (50107, 50430, 50530, 54200)
"""Error codes that only chat clients get. Therefore the description of the REST API does not contain these codes."""


def test_documented_error_codes_equal_the_codes_that_are_raised() -> None:
    documented = {code for operation in operations().values() for code in operation.codes}
    assert documented | {MethodNotAllowedError.code, *CHAT_CODES} == set(raised())


def test_every_parameter_has_a_schema_with_a_limit_or_a_description() -> None:
    """A field type with a validator needs a schema from `domain/json_schema.py`, such as `string_schema(256)`.

    Without such a schema, `/openapi.json` would say that the field allows any text.
    """
    schemas = document()["components"]["schemas"]
    models = {name: schemas[name]["properties"] for name in FORMS & set(schemas)}
    queries = [route.contract.query for route in ROUTES if route.contract.query]
    models |= {model.__name__: query_parameters(model) for model in queries}
    assert set(models) >= FORMS
    unlimited = [
        f"{model}.{name}"
        for model, properties in models.items()
        for name, schema in properties.items()
        if schema.get("items", schema) in ({}, {"type": "string"}, {"type": "integer"}, {"type": "boolean"})
    ]
    assert unlimited == []


def test_summary_says_what_an_operation_does() -> None:
    summaries = {name: operation.description["summary"] for name, operation in operations().items()}
    assert summaries["listParticipantConversations"] == "List participant conversations"
    in_service = summaries["createServiceConversationWithParticipants"]
    assert in_service == "Create conversation with participants in a service"
    assert summaries["listApiKeys"] == "List API keys"


def test_every_tag_is_described_by_a_sentence() -> None:
    described = {tag["name"]: tag["description"] for tag in document()["tags"]}
    assert set(described) == {tag for operation in operations().values() for tag in operation.description["tags"]}
    assert (described["Roles"], described["API keys"][-1]) == ("The roles of a service.", ".")
    assert all(re.fullmatch("[A-Z`].+[.]", text) for text in described.values())


def test_operation_ids_are_unique() -> None:
    assert len(operations()) == sum(len(route.rules) for route in ROUTES)


def test_openapi_etag_is_equal_in_every_process() -> None:
    """Several Lambda environments can answer one client. Therefore all environments must compute the same ETag."""
    made = (
        "from convoke.api.openapi import members; from convoke.api.resources.description import document_of;"
        "print(document_of(members(), 'https://api.example.com').tag)"
    )
    printed = {
        subprocess.run(
            [sys.executable, "-c", made], env={"PYTHONHASHSEED": seed}, capture_output=True, text=True, check=True
        ).stdout
        for seed in ("1", "2")
    }
    assert len(printed) == 1


def test_cold_start_does_not_import_the_openapi_generator() -> None:
    loaded = "import sys, convoke.api.app; print([name for name in sys.modules if name.startswith('convoke.api')])"
    printed = subprocess.run([sys.executable, "-c", loaded], capture_output=True, text=True, check=True).stdout
    assert "convoke.api.routes" in printed
    assert "convoke.api.resources" not in printed
    assert "convoke.api.openapi" not in printed
    assert "convoke.api.schemas" not in printed
