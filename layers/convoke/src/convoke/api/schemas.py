"""Generate the JSON Schemas of requests and responses from the pydantic models.

The schemas contain the limits of the domain's field types, such as a maximum length. See `convoke.domain.json_schema`.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from pydantic import BaseModel
from pydantic.json_schema import GenerateJsonSchema, JsonSchemaMode, models_json_schema

from convoke.api.contracts import Contract
from convoke.api.openapi_examples import load_examples
from convoke.api.pagination import Meta, RestMeta
from convoke.api.parameter_names import PARTICIPANT
from convoke.domain.conversation_with_participants import MAX_PARTICIPANTS_PER_REQUEST
from convoke.domain.json_schema import sid_schema
from convoke.domain.model import Model
from convoke.domain.participants import NewBinding, NewParticipant
from convoke.domain.sids import Prefix

Schema = dict[str, Any]


def sid(prefix: Prefix) -> Schema:
    """Return the schema of a SID."""
    return dict(sid_schema(prefix).json_schema or {})


ERROR_POINTERS: Schema = {
    "parameter": {"type": "string", "examples": ["Participant[3].messaging_binding.address"]},
    "index": {"type": "integer", "description": "Of the participant or other repeated value."},
    "rule": {"type": "string", "description": "The name of the broken rule, which never changes."},
    "conflicting_conversation_sid": sid(Prefix.CONVERSATION),
}

PROBLEM: Schema = {
    "type": "object",
    "properties": {"code": {"type": "integer"}, "message": {"type": "string"}, **ERROR_POINTERS},
    "required": ["code", "message"],
    "additionalProperties": True,
}

ERROR: Schema = {
    "type": "object",
    "properties": {
        "code": {"type": "integer"},
        "message": {"type": "string"},
        "more_info": {"type": "string"},
        "status": {"type": "integer"},
        "detail": {"type": "string", "description": "Of code 20003 only."},
        "details": {
            "type": "object",
            "properties": {
                **ERROR_POINTERS,
                "request_id": {"type": "string", "description": "Of code 20500: what the failure is logged under."},
                "problems": {
                    "type": "array",
                    "items": {"$ref": "#/components/schemas/Problem"},
                    "description": "Whatever else is wrong with the request.",
                },
            },
            "additionalProperties": True,
        },
    },
    "required": ["code", "message", "more_info", "status"],
}


class _Generator(GenerateJsonSchema):
    """Generates schemas without titles. The schema name is the class name without the suffix `Representation`."""

    def normalize_name(self, name: str) -> str:
        return super().normalize_name(name).removesuffix("Representation")

    def field_title_should_be_set(self, _: Any) -> bool:
        return False


REFERENCE = "#/components/schemas/{model}"

PARTICIPANTS: Schema = {
    "type": "array",
    "maxItems": MAX_PARTICIPANTS_PER_REQUEST,
    "items": {
        "type": "string",
        "contentMediaType": "application/json",
        "contentSchema": {"$ref": REFERENCE.format(model=NewParticipant.__name__)},
    },
}


def reference(name: str) -> Schema:
    return {"$ref": REFERENCE.format(model=name.removesuffix("Representation"))}


def form_component(contract: Contract) -> str | None:
    """Return the name of the schema that describes a contract's form. Return None if the contract has no form."""
    if contract.participants:
        return f"Create{contract.resource}"
    return contract.form.__name__ if contract.form else None


def query_parameters(model: type[Model]) -> dict[str, Schema]:
    """Return the schemas of the query parameters in `model`. The keys are the parameter names."""
    schema = model.model_json_schema(schema_generator=_Generator)
    properties: dict[str, Schema] = _request_schema(model, schema)["properties"]
    return properties


def rest_page_properties() -> dict[str, Schema]:
    """Return the schemas of the paging fields in Twilio's API `2010-04-01`."""
    schema = RestMeta.model_json_schema(mode="serialization", schema_generator=_Generator)
    properties: dict[str, Schema] = schema["properties"]
    return properties


def components(contracts: Sequence[Contract]) -> dict[str, Schema]:
    """Return every schema that the OpenAPI document refers to. The keys are the schema names."""
    forms = (contract.form for contract in contracts if contract.form)
    parsed: set[type[Model]] = {NewParticipant, NewBinding, *forms}
    schemas = _generated(contracts, {*parsed, *(contract.json for contract in contracts if contract.json)})
    for model in parsed:
        schemas[model.__name__] = _request_schema(model, schemas[model.__name__])
    for contract in contracts:
        if contract.participants and contract.form and (name := form_component(contract)):
            schemas[name] = _with_participants(schemas[contract.form.__name__])
    names = {form_component(contract) for contract in contracts}
    for name, example in load_examples().items():
        if name in schemas:
            schemas[name] = _with_example(schemas[name], example, is_form=name in names)
    return dict(sorted({**schemas, "Error": ERROR, "Problem": PROBLEM}.items()))


def _with_example(schema: Schema, example: dict[str, Any], *, is_form: bool) -> Schema:
    """Add an example to a schema. In the schema of a form, also add the example values to the parameters."""
    properties = {
        name: part | ({"examples": [example[name]]} if is_form and name in example else {})
        for name, part in schema["properties"].items()
    }
    return schema | {"properties": properties, "examples": [example]}


def _generated(contracts: Sequence[Contract], parsed: Iterable[type[Model]]) -> dict[str, Schema]:
    """Generate the schemas without the docstrings of the models, because the docstrings are not written for clients."""
    answered = (each for contract in contracts for each in (contract.representation, contract.service_representation))
    modes: list[tuple[type[BaseModel], JsonSchemaMode]] = [(Meta, "serialization")]
    modes.extend((model, "serialization") for model in answered if model)
    modes.extend((model, "validation") for model in parsed)
    _, generated = models_json_schema(modes, ref_template=REFERENCE, schema_generator=_Generator)
    return {
        name: {key: value for key, value in schema.items() if key not in ("title", "description")}
        for name, schema in generated["$defs"].items()
    }


def _with_participants(form: Schema) -> Schema:
    return form | {"properties": form["properties"] | {PARTICIPANT: PARTICIPANTS}}


def _request_schema(model: type[Model], schema: Schema) -> Schema:
    properties = {name: _property(model, generated) for name, generated in schema["properties"].items()}
    required = [field.alias for field in model.model_fields.values() if field.validate_default]
    return schema | {"properties": properties} | ({"required": required} if required else {})


def _property(model: type[Model], generated: Schema) -> Schema:
    """Return the schema of a parameter.

    The schema does not allow null, because a client cannot send null in a form. In the models, None means that the
    parameter is absent. The schema of an update contains no defaults, because an update does not change absent
    parameters.
    """
    schema = _without_null(generated)
    default = generated.get("default")
    has_default = isinstance(default, str) and default and not model.__name__.startswith("Update")
    return schema | {"default": default} if has_default else schema


def _without_null(generated: Schema) -> Schema:
    alternatives = [part for part in generated.get("anyOf", []) if part != {"type": "null"}]
    if len(alternatives) == 1:
        return dict(alternatives[0])
    return {key: value for key, value in generated.items() if key != "default"}
