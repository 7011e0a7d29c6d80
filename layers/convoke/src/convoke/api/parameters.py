"""The form parameters of each request, parsed into frozen models (rule 5).

The rules stand in the domain; here they get the names that clients know them by.
"""

from __future__ import annotations

import json
from typing import Annotated, TypeVar, get_origin

from pydantic import BeforeValidator, ConfigDict, ValidationError
from pydantic.alias_generators import to_pascal

from convoke.api.errors import problem_of
from convoke.api.form import Form
from convoke.domain.attributes import refuse_constant
from convoke.domain.conversations import NewConversation
from convoke.domain.errors import ParticipantNotJsonError, TooManyParticipantsInRequestError
from convoke.domain.model import Model
from convoke.domain.participants import NewParticipant
from convoke.domain.services import NewService
from convoke.domain.webhooks import WebhookConfigurationChange

MOST_PARTICIPANTS = 10
"""Values of `Participant` in one request (reference, b.2)."""

GROUPS = ("Timers", "Bindings.Email")
"""Names that are followed by a dot."""


def form_name(field: str) -> str:
    """The name of a form parameter: `timers_inactive` is sent as `Timers.Inactive`."""
    name = to_pascal(field)
    for group in GROUPS:
        plain = group.replace(".", "")
        if name.startswith(plain):
            return f"{group}.{name.removeprefix(plain)}"
    return name


FORM_NAMES = ConfigDict(alias_generator=form_name)


def parse_participants(values: list[str]) -> list[object]:
    """The values as JSON objects, before any is looked into: counts and form come first (reference, b.7 step 4)."""
    if len(values) > MOST_PARTICIPANTS:
        raise TooManyParticipantsInRequestError
    return [parse_json_object(value, position) for position, value in enumerate(values)]


def parse_json_object(value: str, position: int) -> object:
    """The object in a value. A key that is null counts as not given."""
    try:
        parsed = json.loads(value, parse_constant=refuse_constant)
        if "\\u" in value:
            json.dumps(parsed, ensure_ascii=False).encode()  # Half a surrogate pair can be escaped, but not stored.
    except (ValueError, RecursionError) as error:
        raise ParticipantNotJsonError(parameter=f"[{position}]") from error
    if not isinstance(parsed, dict):
        raise ParticipantNotJsonError(parameter=f"[{position}]")
    return {key: part for key, part in parsed.items() if part is not None}


class CreateConversation(NewConversation):
    model_config = FORM_NAMES


class CreateConversationWithParticipants(CreateConversation):
    participant: Annotated[tuple[NewParticipant, ...], BeforeValidator(parse_participants)] = ()


class CreateService(NewService):
    model_config = FORM_NAMES


class UpdateWebhookConfiguration(WebhookConfigurationChange):
    model_config = FORM_NAMES


Parameters = TypeVar("Parameters", bound=Model)


def parse(model: type[Parameters], form: Form) -> Parameters:
    """The parameters in a form. Raises the first rule that does not hold, with the parameter it is about."""
    names = {name: field.alias or name for name, field in model.model_fields.items()}
    lists = {names[name]: _is_list(field.annotation) for name, field in model.model_fields.items()}
    try:
        return model.model_validate(form.select(lists))
    except ValidationError as error:
        raise problem_of(error, names) from error


def _is_list(annotation: object) -> bool:
    """Whether a field takes every value of a repeated key."""
    arguments = getattr(annotation, "__args__", ())
    return get_origin(annotation) is tuple or any(get_origin(argument) is tuple for argument in arguments)
