"""Translate template.yaml with the SAM transform, as CloudFormation does.

The transform adds roles, versions, aliases and event source mappings. Therefore only the translated template lists all
resources of a deployment.
"""

from __future__ import annotations

import copy
import re
from collections.abc import Iterator
from functools import cache
from typing import Any

import pytest
from samtranslator.parser.parser import Parser
from samtranslator.translator.translator import Translator

from tests.support.template import decided, state_machine, written_template


def packaged() -> dict[str, Any]:
    """Return a copy of the template that points to code in S3 and contains the state machine.

    `sam deploy` uploads the code and the state machine to S3. This function inlines the state machine instead, because
    a tool that checks the template cannot read a file in S3.
    """
    document = copy.deepcopy(written_template())
    for resource in document["Resources"].values():
        properties = resource.get("Properties", {})
        for name in {"CodeUri", "ContentUri"} & set(properties):
            properties[name] = f"s3://bucket/{properties[name]}"
        if properties.pop("DefinitionUri", None):
            properties["Definition"] = state_machine()
    return document


@cache
def translated() -> dict[str, Any]:
    """Return the output of the SAM transform. Callers must not change the result, because it is cached.

    Conditions and references are unresolved.
    """
    with pytest.MonkeyPatch.context() as environ:
        # The transform asks botocore for the region, because the region determines the partition in ARNs.
        environ.setenv("AWS_DEFAULT_REGION", "us-east-1")
        output: dict[str, Any] = Translator({}, Parser()).translate(packaged(), {})
    return output


@cache
def _decided(**parameters: str) -> dict[str, Any]:
    return decided(translated(), parameters)


def deployed(*types: str, **parameters: str) -> dict[str, Any]:
    """Return a mapping from logical IDs to the resources of these types in the translated template.

    Conditions are resolved. A parameter that is missing from `parameters` has its default value.
    """
    resources = _decided(**parameters)["Resources"]
    return {name: resource for name, resource in resources.items() if resource["Type"] in types}


def references(value: Any) -> Iterator[str]:
    """Yield the parameters, pseudo parameters and logical IDs that a value references, also through conditions.

    The references inside a referenced resource are not included.
    """
    match value:
        case {"Ref": str(name)}:
            yield name
        case {"Fn::GetAtt": str(attribute) | [str(attribute), *_]}:
            yield attribute.partition(".")[0]
        case {"Fn::Sub": str(text)}:
            yield from names_in(text)
        case {"Fn::Sub": [str(text), dict(values)]}:
            yield from (name for name in names_in(text) if name not in values)
            yield from references([*values.values()])
        case {"Fn::If": [str(condition), *branches]}:
            yield from references([{"Condition": condition}, *branches])
        case {"Condition": str(condition)}:
            yield from references(translated()["Conditions"][condition])
        case dict():
            yield from references([*value.values()])
        case list():
            for item in value:
                yield from references(item)


def names_in(text: str) -> list[str]:
    """Return the names in a `!Sub` text, without their attributes.

    `${!Name}` is not a name, because CloudFormation replaces it with the text `${Name}`.
    """
    return [name.partition(".")[0] for name in re.findall(r"\$\{([^!}]+)\}", text)]


def parameters_in(value: Any) -> set[str]:
    """Return the parameters that a value references, also through conditions."""
    return set(references(value)) & set(translated()["Parameters"])
