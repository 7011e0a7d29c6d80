"""Parse template.yaml and its CloudFormation tags.

Tests take names and settings from the template and do not repeat them.
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


class _TemplateLoader(yaml.SafeLoader):
    """A YAML loader that expands CloudFormation's short form: `!Ref Table` becomes `{"Ref": "Table"}`."""


def _construct(loader: _TemplateLoader, tag: str, node: yaml.Node) -> Any:
    value: Any
    match node:
        case yaml.ScalarNode():
            value = loader.construct_scalar(node)
        case yaml.SequenceNode():
            value = loader.construct_sequence(node, deep=True)
        case yaml.MappingNode():
            value = loader.construct_mapping(node, deep=True)
    return {tag if tag == "Ref" else f"Fn::{tag}": value}


_TemplateLoader.add_multi_constructor("!", _construct)


@cache
def template() -> dict[str, Any]:
    """Return the parsed template.yaml. Callers must not change the result, because it is cached."""
    read: dict[str, Any] = yaml.load((ROOT / "template.yaml").read_text(), _TemplateLoader)
    return read


def resources(type_: str) -> dict[str, Any]:
    """Return the properties of every resource of the given type. The key is the logical ID."""
    return {
        name: resource.get("Properties", {})
        for name, resource in template()["Resources"].items()
        if resource["Type"] == type_
    }


def functions() -> dict[str, Any]:
    """Return the properties of every function, merged with the global properties.

    The key is the name of the function's folder.
    """
    shared = template()["Globals"]["Function"]
    variables = shared["Environment"]["Variables"]
    return {
        properties["CodeUri"].removeprefix("functions/"): {
            **shared,
            **properties,
            "Environment": {"Variables": {**variables, **properties["Environment"]["Variables"]}},
        }
        for properties in resources("AWS::Serverless::Function").values()
    }


def environment(function: str, values: Mapping[str, str]) -> dict[str, str]:
    """Return the environment variables of a function. `values` maps logical IDs to the values of their `!Ref`."""
    variables = functions()[function]["Environment"]["Variables"]
    return {name: resolved(value, values) for name, value in variables.items()}


def resolved(value: Any, values: Mapping[str, str]) -> str:
    """Evaluate a text, a `!Ref` or a `!Sub`. Parameters have their default values unless `values` overrides them."""
    defaults = {name: str(parameter["Default"]) for name, parameter in template()["Parameters"].items()}
    known: dict[str, str] = {"AWS::StackName": STACK_NAME, **defaults, **values}
    match value:
        case {"Ref": name}:
            return known[name]
        case {"Fn::Sub": str(text)}:
            return re.sub(r"\$\{(.+?)\}", lambda found: known[found[1]], text)
        case str():
            return value
    raise ValueError(f"cannot resolve {value}")


def state_machine() -> dict[str, Any]:
    """Return the definition of the state machine that finalizes conversations."""
    read: dict[str, Any] = json.loads((ROOT / "functions/conversation_finalizer/state_machine.asl.json").read_text())
    return read
