"""Parse template.yaml, and resolve its conditions and references.

Tests read names and settings from the template instead of repeating them.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).parents[2]

STACK_NAME = "convoke"

API_ENDPOINT = "https://api.execute-api.us-east-1.amazonaws.com"

STACK_ID_DIGITS = "0123456789abcdef" * 2
"""The digits of the UUID in the stack ID. The template creates the first account's SID from these digits."""

NO_VALUE = {"Ref": "AWS::NoValue"}


class _TemplateLoader(yaml.SafeLoader):
    """A YAML loader that expands CloudFormation's short tags: `!Ref Table` becomes `{"Ref": "Table"}`."""


def _construct(loader: _TemplateLoader, tag: str, node: yaml.Node) -> Any:
    value: Any
    match node:
        case yaml.ScalarNode():
            value = loader.construct_scalar(node)
        case yaml.SequenceNode():
            value = loader.construct_sequence(node, deep=True)
        case yaml.MappingNode():
            value = loader.construct_mapping(node, deep=True)
    return {tag if tag in ("Ref", "Condition") else f"Fn::{tag}": value}


_TemplateLoader.add_multi_constructor("!", _construct)


@cache
def written_template() -> dict[str, Any]:
    """Return template.yaml with its conditions unresolved. Callers must not change the result, because it is cached."""
    read: dict[str, Any] = yaml.load((ROOT / "template.yaml").read_text(), _TemplateLoader)
    return read


@cache
def template(**parameters: str) -> dict[str, Any]:
    """Return template.yaml with its conditions resolved. Callers must not change the result, because it is cached.

    A parameter that is missing from `parameters` has its default value.
    """
    return decided(written_template(), parameters)


def decided(document: dict[str, Any], parameters: Mapping[str, str]) -> dict[str, Any]:
    """Return a copy of the template with its conditions resolved.

    Each `Fn::If` is replaced by one of its two values. A part of the template, such as a resource or an output, is
    removed if its condition is false. Parts with the value `AWS::NoValue` are removed too.
    """
    values = parameter_values(parameters)
    conditions = {name: holds(condition, values) for name, condition in document["Conditions"].items()}

    def exists(part: Any) -> bool:
        match part:
            case {"Condition": str(condition)}:
                return conditions[condition]
        return bool(part != NO_VALUE)

    def decide(part: Any) -> Any:
        match part:
            case {"Fn::If": [name, then, otherwise]}:
                return decide(then if conditions[name] else otherwise)
            case dict():
                decided = ((key, decide(value)) for key, value in part.items() if exists(value))
                return {key: value for key, value in decided if exists(value)}
            case list():
                return [value for value in map(decide, part) if exists(value)]
        return part

    result: dict[str, Any] = decide(document)
    return result


def parameter_values(given: Mapping[str, str]) -> dict[str, str]:
    """Return a mapping from each parameter of the template to its value.

    A parameter that is missing from `given` has its default value.
    """
    return {name: str(parameter["Default"]) for name, parameter in written_template()["Parameters"].items()} | dict(
        given
    )


def holds(condition: Any, values: Mapping[str, str]) -> bool:
    """Return whether a condition is true for these parameter values.

    The condition can also be an assertion of a template rule.
    """
    match condition:
        case {"Fn::Equals": [left, right]}:
            return _value(left, values) == _value(right, values)
        case {"Fn::Not": [negated]}:
            return not holds(negated, values)
        case {"Fn::And": conditions}:
            return all(holds(each, values) for each in conditions)
        case {"Fn::Or": conditions}:
            return any(holds(each, values) for each in conditions)
    raise ValueError(f"cannot decide {condition}")


def _value(operand: Any, values: Mapping[str, str]) -> str:
    return values[operand["Ref"]] if isinstance(operand, dict) else str(operand)


def resources(type_: str) -> dict[str, Any]:
    """Return the resources of this type, as a mapping from each logical ID to the resource's properties."""
    return {
        name: resource.get("Properties", {})
        for name, resource in template()["Resources"].items()
        if resource["Type"] == type_
    }


def functions(**parameters: str) -> dict[str, Any]:
    """Return a mapping from each function's folder name to its properties.

    The properties include the global properties of the template.
    """
    shared = template(**parameters)["Globals"]["Function"]
    variables = shared["Environment"]["Variables"]
    return {
        properties["CodeUri"].removeprefix("functions/"): {
            **shared,
            **properties,
            "Environment": {"Variables": {**variables, **properties["Environment"]["Variables"]}},
        }
        for resource in template(**parameters)["Resources"].values()
        if resource["Type"] == "AWS::Serverless::Function" and (properties := resource["Properties"])
    }


def environment(function: str, values: Mapping[str, str]) -> dict[str, str]:
    """Return the environment variables of a function. `values` maps each logical ID to the value of its `!Ref`."""
    variables = functions()[function]["Environment"]["Variables"]
    return {name: resolved(value, values) for name, value in variables.items()}


def resolved(value: Any, values: Mapping[str, str]) -> str:
    """Evaluate a text, a `!Ref`, a `!Sub` or the `!GetAtt` of the API's URL.

    A parameter that is missing from `values` has its default value. Raises ValueError for any other expression.
    """
    known: dict[str, str] = {"AWS::StackName": STACK_NAME, "Id": STACK_ID_DIGITS, **parameter_values({}), **values}
    match value:
        case {"Ref": name}:
            return known[name]
        case {"Fn::GetAtt": "HttpApi.ApiEndpoint"}:
            return API_ENDPOINT
        case {"Fn::Sub": str(text) | [str(text), _]}:
            return re.sub(r"\$\{(.+?)\}", lambda found: known[found[1]], text)
        case str():
            return value
    raise ValueError(f"cannot resolve {value}")


def state_machine() -> dict[str, Any]:
    """Return the definition of the state machine that finalizes conversations."""
    read: dict[str, Any] = json.loads((ROOT / "functions/conversation_finalizer/state_machine.asl.json").read_text())
    return read
