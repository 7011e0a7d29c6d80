"""What requests and answers hold, as JSON Schema: made of the models that parse and write them.

Rules that stand in validators no generator sees. As far as a schema can say them, they are told here.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from pydantic import BaseModel
from pydantic.json_schema import GenerateJsonSchema, JsonSchemaMode, models_json_schema

from convoke.api.contracts import Contract
from convoke.api.pagination import Meta
from convoke.api.parameters import MAX_PARTICIPANTS_PER_REQUEST, PARTICIPANT
from convoke.domain.accounts import MAX_OWNED_ADDRESSES
from convoke.domain.addresses import MAX_ADDRESS_CHARACTERS
from convoke.domain.alerts import LogLevel
from convoke.domain.content import MAX_CONTENT_VARIABLES_CHARACTERS
from convoke.domain.conversations import MAX_CONVERSATION_ATTRIBUTES_BYTES, MAX_NAME_CHARACTERS, State
from convoke.domain.messages import (
    MAX_AUTHOR_CHARACTERS,
    MAX_BODY_BYTES,
    MAX_INDEX_DIGITS,
    MAX_MESSAGE_ATTRIBUTES_BYTES,
    MAX_SUBJECT_CHARACTERS,
)
from convoke.domain.model import Model
from convoke.domain.pages import Order
from convoke.domain.participants import (
    EMAIL_LEVELS,
    MAX_IDENTITY_CHARACTERS,
    MAX_PARTICIPANT_ATTRIBUTES_BYTES,
    NewBinding,
    NewParticipant,
)
from convoke.domain.scoped_webhooks import MAX_SCOPED_URL_CHARACTERS, MAX_TRIGGER_CHARACTERS, MAX_TRIGGERS, POST_EVENTS
from convoke.domain.sids import Prefix
from convoke.domain.webhooks import Method

Schema = dict[str, Any]

STARTING_STATES = [State.ACTIVE.value, State.INACTIVE.value]


def sid(prefix: Prefix) -> Schema:
    return {"type": "string", "pattern": f"^{prefix}[0-9a-fA-F]{{32}}$"}


def text(longest: int) -> Schema:
    return {"type": "string", "maxLength": longest}


def timer(shortest: str) -> Schema:
    description = f"An ISO 8601 duration of {shortest} or more; PT0S switches the timer off."
    return {"type": "string", "format": "duration", "description": description}


def date(description: str) -> Schema:
    forms = [{"type": "string", "format": form} for form in ("date", "date-time")]
    return {"anyOf": forms, "description": f"Of creation, the newest first. {description}"}


ATTRIBUTES: Schema = {"contentMediaType": "application/json", "description": "Any JSON, as a text."}

URL: Schema = {"type": "string", "description": "Absolute, with http or https; the empty text removes it."}

EMAIL: Schema = text(MAX_NAME_CHARACTERS)

REMOVABLE_ADDRESS: Schema = text(MAX_ADDRESS_CHARACTERS) | {"minLength": 1, "description": "The word null removes it."}

EITHER: Schema = {"type": "string", "minLength": 1, "description": "Exactly one of Identity and Address is given."}

RULES: Mapping[str, Schema] = {
    "FriendlyName": text(MAX_NAME_CHARACTERS),
    "CreateService.FriendlyName": text(MAX_NAME_CHARACTERS) | {"minLength": 1},
    "UniqueName": text(MAX_NAME_CHARACTERS) | {"description": "Not of the form of a SID; empty for none."},
    "Attributes": text(MAX_CONVERSATION_ATTRIBUTES_BYTES) | ATTRIBUTES,
    "CreateConversation.State": {"type": "string", "enum": STARTING_STATES, "description": "In either case."},
    "UpdateConversation.State": {
        "type": "string",
        "enum": [*STARTING_STATES, State.CLOSED.value],
        "description": "In either case. Once closed it stays closed.",
    },
    "ConversationSid": sid(Prefix.CONVERSATION),
    "LogLevel": {"type": "string", "enum": [*LogLevel], "description": "In either case."},
    "CreateEventReplay.Target": {"type": "string", "description": "One of those that attempts name; else all."},
    "ErrorLogUrl": URL | {"description": f"Where alerts are posted to. {URL['description']}"},
    "ListConversations.State": {"type": "string", "enum": [*State], "description": "In either case."},
    "Order": {"type": "string", "enum": [*Order], "default": Order.ASCENDING, "description": "In either case."},
    "StartDate": date("At or after it; a day begins at its first moment."),
    "EndDate": date("At or before it; a day ends with its last moment."),
    "Timers.Inactive": timer("PT1M"),
    "Timers.Closed": timer("PT10M"),
    "MessagingServiceSid": sid(Prefix.MESSAGING_SERVICE),
    "Bindings.Email.Address": text(MAX_NAME_CHARACTERS),
    "Bindings.Email.Name": text(MAX_NAME_CHARACTERS),
    "DefaultChatServiceSid": sid(Prefix.SERVICE),
    "DefaultMessagingServiceSid": sid(Prefix.MESSAGING_SERVICE),
    "DefaultInactiveTimer": timer("PT1M"),
    "DefaultClosedTimer": timer("PT10M"),
    "DefaultConversationCreatorRoleSid": sid(Prefix.ROLE),
    "DefaultConversationRoleSid": sid(Prefix.ROLE),
    "DefaultChatServiceRoleSid": sid(Prefix.ROLE),
    "ReachabilityEnabled": {"type": "string", "enum": ["true", "false"], "description": "In either case."},
    "PreWebhookUrl": URL,
    "PostWebhookUrl": URL,
    "OwnedAddresses": {
        "maxItems": MAX_OWNED_ADDRESSES,
        "items": text(MAX_ADDRESS_CHARACTERS),
        "description": "The proxy and projected addresses that the account may use; one empty value for all.",
    },
    "Author": text(MAX_AUTHOR_CHARACTERS),
    "Body": text(MAX_BODY_BYTES) | {"description": "1,600 characters are the most where a member is outside chat."},
    "Subject": text(MAX_SUBJECT_CHARACTERS),
    "MediaSid": sid(Prefix.MEDIA),
    "ContentSid": sid(Prefix.CONTENT) | {"description": "Body and MediaSid are ignored beside it."},
    "ContentVariables": text(MAX_CONTENT_VARIABLES_CHARACTERS)
    | {"contentMediaType": "application/json", "description": "An object of texts."},
    "CreateMessage.Attributes": text(MAX_MESSAGE_ATTRIBUTES_BYTES) | ATTRIBUTES,
    "UpdateMessage.Attributes": text(MAX_MESSAGE_ATTRIBUTES_BYTES) | ATTRIBUTES,
    "Identity": text(MAX_IDENTITY_CHARACTERS) | {"minLength": 1},
    "ListParticipantConversations.Identity": EITHER,
    "ListParticipantConversations.Address": EITHER,
    "RoleSid": sid(Prefix.ROLE),
    "MessagingBinding.Address": text(MAX_ADDRESS_CHARACTERS) | {"minLength": 1},
    "MessagingBinding.ProxyAddress": text(MAX_ADDRESS_CHARACTERS) | {"minLength": 1},
    "MessagingBinding.ProjectedAddress": text(MAX_ADDRESS_CHARACTERS) | {"minLength": 1},
    "UpdateParticipant.MessagingBinding.ProxyAddress": REMOVABLE_ADDRESS,
    "UpdateParticipant.MessagingBinding.ProjectedAddress": REMOVABLE_ADDRESS,
    "MessagingBinding.Name": text(MAX_ADDRESS_CHARACTERS),
    "MessagingBinding.Level": {"type": "string", "enum": list(EMAIL_LEVELS)},
    "CreateParticipant.Attributes": text(MAX_PARTICIPANT_ATTRIBUTES_BYTES) | ATTRIBUTES,
    "UpdateParticipant.Attributes": text(MAX_PARTICIPANT_ATTRIBUTES_BYTES) | ATTRIBUTES,
    "LastReadMessageIndex": {
        "type": "string",
        "pattern": f"^([0-9]{{1,{MAX_INDEX_DIGITS}}}|null)$",
        "description": "A whole number; the word null removes it.",
    },
    "LastReadTimestamp": {"type": "string", "format": "date-time"},
    "Configuration.Url": text(MAX_SCOPED_URL_CHARACTERS)
    | {"minLength": 1, "description": "Absolute, with http or https."},
    "Configuration.Method": {"type": "string", "enum": [*Method], "description": "In either case."},
    "Configuration.Filters": {"items": {"type": "string", "enum": list(POST_EVENTS)}},
    "Configuration.Triggers": {"maxItems": MAX_TRIGGERS, "items": text(MAX_TRIGGER_CHARACTERS) | {"minLength": 1}},
    "Configuration.FlowSid": sid(Prefix.FLOW),
    "Configuration.ReplayAfter": {
        "type": "string",
        "pattern": f"^[0-9]{{1,{MAX_INDEX_DIGITS}}}$",
        "description": "The index of a message.",
    },
    "NewParticipant.identity": text(MAX_IDENTITY_CHARACTERS) | {"minLength": 1},
    "NewParticipant.attributes": {
        "anyOf": [text(MAX_PARTICIPANT_ATTRIBUTES_BYTES) | ATTRIBUTES, {"type": "object"}],
    },
    "NewParticipant.role_sid": sid(Prefix.ROLE),
    "NewBinding.address": text(MAX_ADDRESS_CHARACTERS) | {"minLength": 1},
    "NewBinding.proxy_address": text(MAX_ADDRESS_CHARACTERS) | {"minLength": 1},
    "NewBinding.projected_address": text(MAX_ADDRESS_CHARACTERS) | {"minLength": 1},
    "NewBinding.name": text(MAX_ADDRESS_CHARACTERS),
    "NewBinding.level": {"type": "string", "enum": list(EMAIL_LEVELS)},
}
"""By parameter, or by model and parameter. Takes the place of what pydantic knows of it."""

ERROR_POINTERS: Schema = {
    "parameter": {"type": "string", "examples": ["Participant[3].messaging_binding.address"]},
    "index": {"type": "integer", "description": "Of the participant or other repeated value."},
    "rule": {"type": "string", "description": "What was not kept, in a word that stays the same."},
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
    """Without titles, and with the names of resources for those of their representations."""

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
    """The name of the schema of its form; None where it takes none."""
    if contract.participants:
        return f"Create{contract.resource}"
    return contract.form.__name__ if contract.form else None


def query_parameters(model: type[Model]) -> dict[str, Schema]:
    """The schema of each parameter of a query."""
    schema = model.model_json_schema(schema_generator=_Generator)
    properties: dict[str, Schema] = _with_rules(model, schema)["properties"]
    return properties


def components(contracts: Sequence[Contract]) -> dict[str, Schema]:
    """Every schema that is referred to, by its name."""
    forms = (contract.form for contract in contracts if contract.form)
    parsed: set[type[Model]] = {NewParticipant, NewBinding, *forms}
    schemas = _generated(contracts, parsed)
    for model in parsed:
        schemas[model.__name__] = _with_rules(model, schemas[model.__name__])
    for contract in contracts:
        if contract.participants and contract.form and (name := form_component(contract)):
            schemas[name] = _with_participants(schemas[contract.form.__name__])
    return dict(sorted({**schemas, "Error": ERROR, "Problem": PROBLEM}.items()))


def _generated(contracts: Sequence[Contract], parsed: Iterable[type[Model]]) -> dict[str, Schema]:
    """Without docstrings, as they speak to whoever works on Convoke."""
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


def _with_rules(model: type[Model], schema: Schema) -> Schema:
    properties = {name: _with_rule(model, name, part) for name, part in schema["properties"].items()}
    required = [field.alias for field in model.model_fields.values() if field.validate_default]
    return schema | {"properties": properties} | ({"required": required} if required else {})


def _with_rule(model: type[Model], name: str, generated: Schema) -> Schema:
    """Without null, as what was not given is None in the models only. An update knows no defaults."""
    rule = RULES.get(f"{model.__name__}.{name}", RULES.get(name, {}))
    schema = rule if "type" in rule or "anyOf" in rule else _given(generated) | rule
    default = generated.get("default")
    has_default = isinstance(default, str) and default and not model.__name__.startswith("Update")
    return schema | {"default": default} if has_default else schema


def _given(generated: Schema) -> Schema:
    for part in generated.get("anyOf", []):
        if part != {"type": "null"}:
            return dict(part)
    return {key: value for key, value in generated.items() if key != "default"}
