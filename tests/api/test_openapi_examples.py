"""An instance accepts the example requests in `/openapi.json`, and returns the example responses."""

from __future__ import annotations

import json
import re

import pytest
from jsonschema import Draft202012Validator, FormatChecker

from convoke.api.openapi import document
from convoke.api.openapi_examples import load_examples
from tests.support.openapi_checks import Schema, closed, operations
from tests.support.openapi_examples import examples

SCHEMAS = document()["components"]["schemas"]


def test_examples_equal_real_requests_and_responses() -> None:
    assert load_examples() == examples(), "run `make docs-tables`"


@pytest.mark.parametrize("name", load_examples())
def test_example_fits_its_schema(name: str) -> None:
    (example,) = SCHEMAS[name]["examples"]
    schema = {**SCHEMAS[name], "components": {"schemas": SCHEMAS}}
    Draft202012Validator(closed(schema), format_checker=FormatChecker()).validate(example)


def test_every_form_and_every_resource_has_an_example() -> None:
    descriptions = [operation.description for operation in operations().values()]
    used = json.dumps([{**each, "responses": successful(each)} for each in descriptions])
    names = set(re.findall(r'"#/components/schemas/(\w+)"', used))
    assert names - set(load_examples()) == {"Description"}


def successful(description: Schema) -> Schema:
    return {status: answer for status, answer in description["responses"].items() if status < "400"}


def test_example_of_a_refusal_fits_its_schema() -> None:
    for operation in operations().values():
        refusals = [answer for status, answer in operation.description["responses"].items() if status >= "400"]
        for content in (answer["content"]["application/json"] for answer in refusals):
            validator = Draft202012Validator({**content["schema"], "components": {"schemas": SCHEMAS}})
            validator.validate(content["example"])
