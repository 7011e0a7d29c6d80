"""The form parameters of each request, parsed into frozen models (rule 5).

The rules stand in the domain; here they get the names that clients know them by.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from functools import cache
from typing import TypeVar, get_origin

from pydantic import ConfigDict, TypeAdapter, ValidationError
from pydantic.alias_generators import to_pascal

from convoke.api.errors import problems_of
from convoke.api.form import Form
from convoke.domain.accounts import AccountConfigurationChange, ConfigurationChange
from convoke.domain.addresses import Channel
from convoke.domain.alerts import AlertFilters
from convoke.domain.attributes import refuse_constant
from convoke.domain.conversation_filters import ConversationFilters
from convoke.domain.conversation_requests import ConversationChange, NewConversation
from convoke.domain.errors import (
    ConversationsError,
    ParticipantNotJsonError,
    TooManyParticipantsInRequestError,
    refusal,
)
from convoke.domain.events import EventFilters
from convoke.domain.instants import Instant
from convoke.domain.messages import MessageChange, MessageFilters, NewMessage
from convoke.domain.model import Model
from convoke.domain.participant_conversations import ParticipantConversationFilters
from convoke.domain.participant_requests import ParticipantChange
from convoke.domain.participants import NewParticipant
from convoke.domain.scoped_webhooks import NewScopedWebhook, ScopedWebhookChange, configuration_name
from convoke.domain.services import NewService, ServiceConfigurationChange
from convoke.domain.webhooks import ConfigurationWebhooksChange, NewEventReplay, WebhookSettingsChange

MAX_PARTICIPANTS_PER_REQUEST = 10
"""Values of `Participant` in one request (reference, b.2)."""

PARTICIPANT = "Participant"

BINDING = "messaging_binding_"
"""How the fields of a flat binding begin."""

PARTICIPANTS = TypeAdapter(tuple[NewParticipant, ...], config=ConfigDict(hide_input_in_errors=True, defer_build=True))

GROUPS = ("Timers", "Bindings.Email", "MessagingBinding")
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


class CreateConversation(NewConversation):
    model_config = FORM_NAMES


class UpdateConversation(ConversationChange):
    model_config = FORM_NAMES


class ListConversations(ConversationFilters):
    model_config = FORM_NAMES


class ListMessages(MessageFilters):
    model_config = FORM_NAMES


class ListParticipantConversations(ParticipantConversationFilters):
    model_config = FORM_NAMES


class ListEvents(EventFilters):
    model_config = FORM_NAMES


class ListAlerts(AlertFilters):
    model_config = FORM_NAMES


class CreateEventReplay(NewEventReplay):
    model_config = FORM_NAMES


class CreateMessage(NewMessage):
    model_config = FORM_NAMES


class UpdateMessage(MessageChange):
    model_config = FORM_NAMES


class CreateParticipant(Model):
    """Flat, as a form is. The rules are those of `NewParticipant`, of which `parse_participant` makes one."""

    model_config = FORM_NAMES

    identity: str | None = None
    messaging_binding_type: Channel | None = None
    messaging_binding_address: str | None = None
    messaging_binding_proxy_address: str | None = None
    messaging_binding_projected_address: str | None = None
    messaging_binding_name: str | None = None
    messaging_binding_level: str | None = None
    attributes: str = "{}"
    role_sid: str | None = None
    date_created: Instant | None = None
    date_updated: Instant | None = None


class UpdateParticipant(ParticipantChange):
    model_config = FORM_NAMES


class CreateScopedWebhook(NewScopedWebhook):
    model_config = ConfigDict(alias_generator=configuration_name)


class UpdateScopedWebhook(ScopedWebhookChange):
    model_config = ConfigDict(alias_generator=configuration_name)


class CreateService(NewService):
    model_config = FORM_NAMES


class UpdateConfigurationWebhooks(ConfigurationWebhooksChange):
    model_config = FORM_NAMES


class UpdateAccountConfiguration(AccountConfigurationChange):
    model_config = FORM_NAMES


class UpdateConfiguration(ConfigurationChange):
    model_config = FORM_NAMES


class UpdateServiceConfiguration(ServiceConfigurationChange):
    model_config = FORM_NAMES


class UpdateServiceConfigurationWebhooks(WebhookSettingsChange):
    model_config = FORM_NAMES


Parameters = TypeVar("Parameters", bound=Model)


def parse(model: type[Parameters], form: Form) -> Parameters:
    """The parameters in a form. Raises the first rule that does not hold, with the others beside it."""
    parameters, problems = read(model, form)
    if parameters is None:
        raise refusal(problems)
    return parameters


def parse_query(model: type[Parameters], query: Mapping[str, str]) -> tuple[Parameters, dict[str, str]]:
    """The filters in a query, and what was sent of them."""
    names = [field.alias or name for name, field in model.model_fields.items()]
    sent = {name: query[name] for name in names if name in query}
    return parse(model, Form([*sent.items()])), sent


def read(model: type[Parameters], form: Form) -> tuple[Parameters | None, list[ConversationsError]]:
    """The parameters in a form, or else every rule that does not hold, in the order of the checks."""
    try:
        return model.model_validate(form.select(_lists(model))), []
    except ValidationError as error:
        names = {name: field.alias or name for name, field in model.model_fields.items()}
        ranks = {each: rank for rank, each in enumerate(model.order_of_checks)}
        # Of a default, pydantic knows only the field; of what concerns several fields, none.
        found = problems_of(error, lambda *parts: (*(names.get(str(part), part) for part in parts[:1]), *parts[1:]))
        return None, sorted(found, key=lambda problem: ranks.get(type(problem), len(ranks)))


@cache
def _lists(model: type[Model]) -> dict[str, bool]:
    """The form parameters of a model, and whether each takes every value of a repeated key."""
    return {field.alias or name: _is_list(field.annotation) for name, field in model.model_fields.items()}


def parse_participant(model: type[CreateParticipant], form: Form) -> NewParticipant:
    """The member in a form. Raises the first rule that does not hold, with the others beside it."""
    names = {field.alias or name: name for name, field in model.model_fields.items()}
    given = {names[name]: value for name, value in form.select(dict.fromkeys(names, False)).items()}
    binding = {name.removeprefix(BINDING): given.pop(name) for name in [*given] if name.startswith(BINDING)}
    try:
        return NewParticipant.model_validate({**given, "messaging_binding": binding})
    except ValidationError as error:
        raise refusal([each.at(_form_name(each.parameter or "")) for each in problems_of(error)]) from error


def _form_name(parameter: str) -> str:
    """`messaging_binding.proxy_address` is sent as `MessagingBinding.ProxyAddress`."""
    return ".".join(map(to_pascal, parameter.split(".")))


def read_participants(values: Sequence[str]) -> tuple[tuple[NewParticipant, ...], list[ConversationsError]]:
    """The values of `Participant`; none of them with every rule that one does not keep.

    Counts and form come first, whatever stands in the values (reference, b.7 steps 4 and 5).
    """
    if len(values) > MAX_PARTICIPANTS_PER_REQUEST:
        return (), [TooManyParticipantsInRequestError(parameter=PARTICIPANT)]
    problems: list[ConversationsError] = []
    objects: dict[int, object] = {}
    for position, value in enumerate(values):
        try:
            objects[position] = parse_json_object(value)
        except ValueError:
            problems.append(ParticipantNotJsonError(parameter=f"{PARTICIPANT}[{position}]"))
    try:
        participants = PARTICIPANTS.validate_python(list(objects.values()))
    except ValidationError as error:
        positions = list(objects)
        return (), problems + problems_of(error, lambda first, *rest: (PARTICIPANT, positions[int(first)], *rest))
    return (() if problems else participants), problems


def parse_json_object(value: str) -> object:
    """The object in a value. A key that is null counts as not given. Raises ValueError for anything else."""
    try:
        parsed = json.loads(value, parse_constant=refuse_constant)
        if "\\u" in value:
            json.dumps(parsed, ensure_ascii=False).encode()  # Half a surrogate pair can be escaped, but not stored.
    except RecursionError as error:
        raise ValueError("nested too deeply") from error
    if not isinstance(parsed, dict):
        raise ValueError("no object")  # noqa: TRY004 - of one kind with what json.loads raises
    return {key: part for key, part in parsed.items() if part is not None}


def _is_list(annotation: object) -> bool:
    return get_origin(annotation) is tuple or any(map(_is_list, getattr(annotation, "__args__", ())))
