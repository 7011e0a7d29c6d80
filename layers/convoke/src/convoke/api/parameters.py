"""Parse form parameters and query parameters into immutable models.

The domain's models define the fields and the rules. The modules in `resources/` have subclasses of these models, which
add the parameter names. Exception: for a new participant, `CreateParticipant` in this module has the parameter names.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from functools import cache
from typing import TypeVar, get_origin

from pydantic import ConfigDict, TypeAdapter, ValidationError

from convoke.api.errors import problems_of
from convoke.api.form import Form
from convoke.api.parameter_names import PARTICIPANT, form_name, join_name, parameter_name
from convoke.api.unknown_names import hint_of, unknown_names, warn_of_ignored_names
from convoke.domain.addresses import Channel
from convoke.domain.attributes import refuse_constant
from convoke.domain.conversation_with_participants import count_problems
from convoke.domain.errors import ConversationsError, ParticipantNotJsonError, refusal
from convoke.domain.instants import Instant
from convoke.domain.model import Model
from convoke.domain.participants import (
    Address,
    EmailLevel,
    EmailName,
    Identity,
    NewBinding,
    NewParticipant,
    ParticipantAttributes,
    ProjectedAddress,
    ProxyAddress,
    RoleSid,
)

BINDING_PREFIX = "messaging_binding_"
"""The prefix of those fields in `CreateParticipant` that belong to the messaging binding."""

_LOST_PLUS = re.compile(r'(?:^|")(?:[a-z]+:)? [0-9]{7}')
"""Matches a phone number whose plus sign became a space, at the start of a parameter or of a string in JSON.

In a form, `+` means a space, so a client must encode a plus sign. `curl -d 'Address=+1555...'` does not encode it.
"""

_PLUS_HINT = "in a form, + is a space: encode the + of a number as %2B, with curl by --data-urlencode"

_DECODER = json.JSONDecoder(parse_constant=refuse_constant)

PARTICIPANTS = TypeAdapter(tuple[NewParticipant, ...], config=ConfigDict(hide_input_in_errors=True, defer_build=True))

PARTICIPANT_KEYS = frozenset(NewParticipant.model_fields)
BINDING_KEYS = frozenset(NewBinding.model_fields)
"""`PARTICIPANT_KEYS` and `BINDING_KEYS` are the valid keys in the JSON value of the parameter `Participant`."""

FORM_NAMES = ConfigDict(alias_generator=form_name)
"""The configuration of the form and query models, except the models of scoped webhooks."""


class CreateParticipant(Model):
    """The form parameters of a new participant. This model defines their names and their OpenAPI schemas.

    A form cannot contain nested objects, but a `NewParticipant` contains a nested object. `parse_participant` converts
    the form to a `NewParticipant`, which validates the values.
    """

    model_config = FORM_NAMES

    identity: Identity | None = None
    messaging_binding_type: Channel | None = None
    messaging_binding_address: Address | None = None
    messaging_binding_proxy_address: ProxyAddress | None = None
    messaging_binding_projected_address: ProjectedAddress | None = None
    messaging_binding_name: EmailName | None = None
    messaging_binding_level: EmailLevel | None = None
    attributes: ParticipantAttributes = "{}"
    role_sid: RoleSid | None = None
    date_created: Instant | None = None
    date_updated: Instant | None = None


Parameters = TypeVar("Parameters", bound=Model)


def parse(model: type[Parameters], form: Form) -> Parameters:
    """Parse the parameters in a form.

    If the form is invalid, raise the first error. The attribute `others` of this error contains the other errors.
    """
    warn_of_unknown_parameters(model, form)
    return _parsed(model, form)


def warn_of_unknown_parameters(model: type[Model], form: Form, *others: str) -> None:
    """Log a warning if a form contains unknown parameters. `others` are valid parameters that `model` does not have."""
    warn_of_ignored_names("form parameters", unknown_names(form.names, {*_lists(model), *others}))


def parse_query(model: type[Parameters], query: Form) -> tuple[Parameters, dict[str, str | list[str]]]:
    """Return the filters of a query twice: parsed, and as the texts that the client sent.

    In the second result, each key is the name of a query parameter.
    """
    return _parsed(model, query), query.select(_lists(model))


def _parsed(model: type[Parameters], form: Form) -> Parameters:
    parameters, problems = read(model, form)
    if parameters is None:
        raise refusal(problems)
    return parameters


def read(model: type[Parameters], form: Form) -> tuple[Parameters | None, list[ConversationsError]]:
    """Return the parameters in a form and an empty list. If the form is invalid, return None and all errors.

    `in_order_of_checks` sorts the errors.
    """
    try:
        return model.model_validate(form.select(_lists(model)), context=form.path_delimiters), []
    except ValidationError as error:
        names = {name: field.alias or name for name, field in model.model_fields.items()}
        # The first part of a problem's path is the name or the alias of a field. The alias is the parameter name.
        found = problems_of(error, lambda *parts: (*(names.get(str(part), part) for part in parts[:1]), *parts[1:]))
        return None, in_order_of_checks(model, [_with_plus_hint(problem, form) for problem in found])


def _with_plus_hint(problem: ConversationsError, form: Form) -> ConversationsError:
    """Add a hint to the error if the parameter is a phone number whose plus sign became a space."""
    name = (problem.parameter or "").partition("[")[0]
    return problem.with_hint(_PLUS_HINT) if any(map(_LOST_PLUS.search, form.values(name))) else problem


def in_order_of_checks(model: type[Model], problems: Iterable[ConversationsError]) -> list[ConversationsError]:
    """Sort the errors of an invalid request by the order of their classes in `model.order_of_checks`."""
    ranks = {each: rank for rank, each in enumerate(model.order_of_checks)}
    return sorted(problems, key=lambda problem: ranks.get(type(problem), len(ranks)))


@cache
def _lists(model: type[Model]) -> dict[str, bool]:
    """Return which parameters of a model are lists. Each key is a parameter. The value is True for a list."""
    return {field.alias or name: _is_list(field.annotation) for name, field in model.model_fields.items()}


def parse_participant(model: type[CreateParticipant], form: Form) -> NewParticipant:
    """Parse the participant in a form.

    If the form is invalid, raise the first error. The attribute `others` of this error contains the other errors.
    """
    names = {field.alias or name: name for name, field in model.model_fields.items()}
    warn_of_unknown_parameters(model, form)
    given = {names[name]: value for name, value in form.select(dict.fromkeys(names, False)).items()}
    in_binding = [name for name in given if name.startswith(BINDING_PREFIX)]
    binding = {name.removeprefix(BINDING_PREFIX): given.pop(name) for name in in_binding}
    try:
        return NewParticipant.model_validate({**given, "messaging_binding": binding}, context=form.path_delimiters)
    except ValidationError as error:
        found = problems_of(error, lambda *parts: (parameter_name(parts),))
        raise refusal([_with_plus_hint(problem, form) for problem in found]) from error


def read_participants(form: Form) -> tuple[tuple[NewParticipant, ...], list[ConversationsError]]:
    """Parse all values of the parameter `Participant` in a form.

    If all values are valid, return the participants and an empty list. Otherwise return no participants and all errors.
    If there are too many values, do not parse them, and return only the error about their number. See
    docs/behaviour/conversation-with-participants.md#order-of-checks.
    """
    values = form.values(PARTICIPANT)
    if too_many := [*count_problems(len(values))]:
        return (), too_many
    problems: list[ConversationsError] = []
    objects: dict[int, dict[str, object]] = {}
    for position, value in enumerate(values):
        try:
            objects[position] = parse_json_object(value)
        except ValueError:
            problems.append(ParticipantNotJsonError(parameter=join_name([PARTICIPANT, position])))
    try:
        # Continue after a value that is not JSON, because one response reports the errors of all values.
        participants = PARTICIPANTS.validate_python(list(objects.values()), context=form.path_delimiters)
    except ValidationError as error:
        positions = list(objects)
        found = problems_of(error, lambda first, *rest: (PARTICIPANT, positions[int(first)], *rest))
        hinted = [_with_plus_hint(problem, form) for problem in found]
        return (), problems + _with_hints(hinted, objects)
    for each in objects.values():
        warn_of_ignored_names("keys of a participant", _unknown_keys(each))
    return (() if problems else participants), problems


def _with_hints(
    problems: Sequence[ConversationsError], objects: Mapping[int, dict[str, object]]
) -> list[ConversationsError]:
    """Add to the errors of each participant a hint about its unknown keys. Often a misspelled key causes the error."""
    unknown = {join_name([PARTICIPANT, at]): _unknown_keys(each) for at, each in objects.items()}
    named = [(problem, unknown.get((problem.parameter or "").partition(".")[0])) for problem in problems]
    return [problem.with_hint(hint_of(names)) if names else problem for problem, names in named]


def _unknown_keys(participant: Mapping[str, object]) -> dict[str, str | None]:
    """Return the unknown keys of a participant and of its binding. The value is the most similar known key, or None."""
    binding = participant.get("messaging_binding")
    unknown = unknown_names(participant, PARTICIPANT_KEYS)
    return unknown | unknown_names(binding, BINDING_KEYS) if isinstance(binding, dict) else unknown


def parse_json_object(value: str) -> dict[str, object]:
    """Parse a JSON object. Omit the keys of this object whose value is null, but not the keys of nested objects.

    Raise ValueError if the text is not a JSON object, is nested too deeply, or contains half of a surrogate pair.
    """
    try:
        parsed = _DECODER.decode(value)
        if "\\u" in value:
            # A `\u` escape can be one half of a surrogate pair. `encode` raises ValueError if the other half is
            # missing.
            json.dumps(parsed, ensure_ascii=False).encode()
    except RecursionError as error:
        raise ValueError("nested too deeply") from error
    if not isinstance(parsed, dict):
        raise ValueError("no object")  # noqa: TRY004 - json.loads raises ValueError too
    return {key: part for key, part in parsed.items() if part is not None}


def _is_list(annotation: object) -> bool:
    return get_origin(annotation) is tuple or any(map(_is_list, getattr(annotation, "__args__", ())))
