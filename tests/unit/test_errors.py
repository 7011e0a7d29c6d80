"""The error catalogue contains the codes, texts and HTTP statuses that clients know."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from string import Formatter
from typing import Annotated

import pytest
from pydantic import AfterValidator, TypeAdapter, ValidationError

from convoke.api.openapi import document
from convoke.domain.access_tokens import MAX_TOKEN_BYTES, MAX_TOKEN_LIFETIME
from convoke.domain.addresses import MAX_ADDRESS_CHARACTERS
from convoke.domain.api_keys import MAX_KEY_NAME_CHARACTERS
from convoke.domain.content import (
    MAX_CONTENT_VARIABLES,
    MAX_CONTENT_VARIABLES_CHARACTERS,
    MAX_VARIABLE_KEY_CHARACTERS,
    MAX_VARIABLE_VALUE_CHARACTERS,
)
from convoke.domain.conversation_with_participants import MAX_PARTICIPANTS_PER_REQUEST
from convoke.domain.conversations import MAX_NAME_CHARACTERS
from convoke.domain.credentials import MAX_CREDENTIAL_NAME_CHARACTERS
from convoke.domain.durations import MAX_DURATION
from convoke.domain.errors import (
    CATALOGUE,
    LOG_ENTRIES,
    BindingsTakenError,
    BindingTakenError,
    ConversationsError,
    GroupExistsError,
    InternalError,
    LogEntry,
    UniqueNameTakenError,
)
from convoke.domain.groups import MAX_GROUP_PARTICIPANTS, MIN_GROUP_PARTICIPANTS
from convoke.domain.idempotency import RECORD_LIFETIME
from convoke.domain.media import MAX_MEDIA_BYTES, MAX_MMS_BYTES, MAX_WHATSAPP_BYTES
from convoke.domain.memberships import MAX_NON_CHAT_PARTICIPANTS, MAX_PARTICIPANTS
from convoke.domain.messages import MAX_AUTHOR_CHARACTERS, MAX_BODY_BYTES, MAX_BODY_OUTSIDE_CHAT_CHARACTERS
from convoke.domain.participants import MAX_IDENTITY_CHARACTERS
from convoke.domain.scoped_webhooks import (
    MAX_SCOPED_URL_CHARACTERS,
    MAX_TRIGGER_CHARACTERS,
    MAX_TRIGGERS,
    MAX_WEBHOOKS_PER_CONVERSATION,
)
from convoke.domain.service_configuration_notifications import MAX_TEMPLATE_BYTES
from convoke.domain.timers import MIN_CLOSED_TIMER, MIN_INACTIVE_TIMER, MINUTE

ROOT = Path(__file__).parents[2]
SOURCE = ROOT / "layers/convoke/src/convoke"

NEVER_RAISING = {"domain/errors.py", "api/openapi.py"}
"""Modules that define or list the error classes of the API, but do not raise these errors."""

SID = "CH" + "0" * 32

HOUR = timedelta(hours=1)

CODES = {
    *(20001, 20003, 20004, 20006, 20101, 20103, 20104, 20105, 20106, 20107, 20404, 20409, 20422, 20423, 20500, 20503),
    *(50000, 50003, 50004, 50054, 50055, 50056, 50058, 50059),
    *(50101, 50102, 50103, 50104, 50105, 50107, 50109),
    *(50201, 50204, 50206, 50207, 50209, 50210, 50211),
    *(50303, 50304, 50308, 50309, 50310, 50334, 50341, 50353),
    *(50361, 50362, 50363, 50364, 50365, 50366, 50367, 50368, 50369, 50370, 50371, 50372),
    *(50373, 50374, 50375, 50376, 50377, 50378, 50379, 50380, 50384, 50386, 50390, 50396),
    *(50407, 50408, 50409, 50411, 50412, 50413, 50414, 50415, 50416, 50417, 50418, 50420, 50421),
    *(50424, 50425, 50426, 50430, 50433, 50434, 50435, 50436, 50437, 50438, 50439, 50440, 50441, 50442, 50443, 50444),
    *(50451, 50453),
    *(50503, 50504, 50506, 50507, 50508, 50509, 50510, 50511, 50512, 50513),
    54200,
    *(50526, 50527, 50528, 50529, 50530, 50540, 50541, 50542),
}

STATUSES = {
    20003: 401,
    20004: 405,
    20006: 403,
    20101: 401,
    20103: 401,
    20104: 401,
    20105: 401,
    20106: 401,
    20107: 401,
    20404: 404,
    20409: 409,
    20422: 422,
    20500: 500,
    20503: 503,
    50107: 403,
    50201: 409,
    50334: 409,
    50353: 409,
    50386: 409,
    50416: 409,
    50425: 409,
    50430: 403,
    50433: 409,
    50437: 409,
    50438: 409,
    50530: 404,
    54200: 404,
}
"""Maps an error code to its HTTP status. Codes that are missing here have the status 400."""

LITERALS = {
    20003: "Authenticate",
    20004: "Method not allowed",
    20409: "Conflict",
    50201: "User already exists",
    50204: "Identity not provided",
    50211: "Identity parameter not acceptable for this Participant",
    50304: "Attributes not valid JSON",
    50353: "Conversation with provided unique name already exists",
    50373: "No Messaging Service assigned to Conversation",
    50377: "Can't update conversation as it's in final closed state",
    50407: "Invalid messaging binding address",
    50416: "A binding for this participant and proxy address already exists"
    " in Conversation {conflicting_conversation_sid}",
    50433: "Participant already exists",
    50438: "Group MMS with given participant list already exists as Conversation {conflicting_conversation_sid}",
}

PLACEHOLDERS = {
    50303: {"longest"},
    50416: {"conflicting_conversation_sid"},
    50425: {"where"},
    50438: {"conflicting_conversation_sid"},
}

EVERY_ERROR = pytest.mark.parametrize("error", CATALOGUE.values(), ids=lambda error: f"{error.code}-{error.__name__}")


def placeholders(text: str) -> set[str]:
    return {name for _, name, _, _ in Formatter().parse(text) if name is not None}


def example(error: type[ConversationsError]) -> ConversationsError:
    return error(**dict.fromkeys(placeholders(error.text), "example"))


def test_catalogue_contains_exactly_the_known_codes() -> None:
    assert set(CATALOGUE) == CODES


def test_every_error_class_has_a_unique_code() -> None:
    codes = [error.code for error in CATALOGUE.values()] + [entry.code for entry in LOG_ENTRIES.values()]
    assert len(set(codes)) == len(codes)
    assert codes == [*CATALOGUE, *LOG_ENTRIES]


@pytest.mark.parametrize("code", [20003, 50427])
def test_defining_a_second_class_with_the_same_code_raises_type_error(code: int) -> None:
    with pytest.raises(TypeError, match=f"AgainError and .+ the same code {code}"):
        type("AgainError", (ConversationsError,), {}, code=code, text="Again")
    with pytest.raises(TypeError, match=f"AgainError and .+ the same code {code}"):
        type("AgainError", (LogEntry,), {}, code=code, text="Again")


@EVERY_ERROR
def test_every_error_has_the_http_status_that_clients_expect(error: type[ConversationsError]) -> None:
    assert error.status == STATUSES.get(error.code, 400)


@pytest.mark.parametrize(("code", "text"), LITERALS.items())
def test_texts_that_clients_match_on_equal_twilios_texts(code: int, text: str) -> None:
    assert CATALOGUE[code].text == text


@EVERY_ERROR
def test_error_text_has_only_the_known_placeholders(error: type[ConversationsError]) -> None:
    assert placeholders(error.text) == PLACEHOLDERS.get(error.code, set())


@pytest.mark.parametrize("code", PLACEHOLDERS)
def test_error_without_a_value_for_its_placeholder_raises_key_error(code: int) -> None:
    with pytest.raises(KeyError):
        CATALOGUE[code](something_else="example")


@EVERY_ERROR
def test_every_error_has_a_class_name_a_docstring_and_a_message(error: type[ConversationsError]) -> None:
    made = example(error)
    assert error.__name__.endswith("Error")
    assert error.__doc__
    assert "\n" not in error.__doc__
    assert made.message == str(made) == error.text.format_map(made.details)


@EVERY_ERROR
def test_only_the_more_info_url_of_an_error_names_twilio(error: type[ConversationsError]) -> None:
    made = example(error)
    assert "twilio" not in made.message.lower()
    assert made.more_info == f"https://www.twilio.com/docs/errors/{error.code}"


@pytest.mark.parametrize("error", [GroupExistsError, BindingTakenError])
def test_conflict_message_ends_with_the_sid_of_the_other_conversation(error: type[ConversationsError]) -> None:
    made = error(conflicting_conversation_sid=SID)
    assert made.message[-34:] == SID
    assert made.details == {"conflicting_conversation_sid": SID}


KB, MB = 1024, 1024 * 1024

LIMITS: dict[int, tuple[int | str, ...]] = {
    20101: (f"{MAX_TOKEN_BYTES // KB} KB", f"{MAX_TOKEN_LIFETIME // HOUR} hours"),
    20106: (MAX_IDENTITY_CHARACTERS,),
    20422: (RECORD_LIFETIME // HOUR,),
    50003: (MAX_NAME_CHARACTERS, f"{MAX_KEY_NAME_CHARACTERS} for API keys and credentials"),
    50004: (MAX_NAME_CHARACTERS,),
    50058: (MAX_TEMPLATE_BYTES,),
    50059: (MAX_NAME_CHARACTERS,),
    50207: (MAX_IDENTITY_CHARACTERS,),
    50310: (MAX_AUTHOR_CHARACTERS,),
    50361: (MAX_WEBHOOKS_PER_CONVERSATION,),
    50362: (MAX_TRIGGERS,),
    50366: (f"1 to {MAX_TRIGGER_CHARACTERS}",),
    50371: (f"1 to {MAX_TRIGGERS}",),
    50372: (MAX_SCOPED_URL_CHARACTERS,),
    50375: (f"{MIN_INACTIVE_TIMER // MINUTE} minute",),
    50376: (f"{MIN_CLOSED_TIMER // MINUTE} minutes",),
    50379: (f"{MAX_DURATION.days:,} days",),
    50380: (f"{MAX_DURATION.days:,} days",),
    50408: (MAX_ADDRESS_CHARACTERS,),
    50417: (MAX_PARTICIPANTS,),
    50418: (MAX_NON_CHAT_PARTICIPANTS,),
    50426: (MAX_PARTICIPANTS_PER_REQUEST,),
    50435: (MIN_GROUP_PARTICIPANTS,),
    50436: (MAX_GROUP_PARTICIPANTS,),
    50504: (MAX_BODY_OUTSIDE_CHAT_CHARACTERS, f"{MAX_BODY_BYTES // KB} KB"),
    50512: (
        f"{MAX_MEDIA_BYTES // MB} MB in chat",
        f"{MAX_MMS_BYTES // MB} MB in total by MMS",
        f"{MAX_WHATSAPP_BYTES // MB} MB on WhatsApp",
    ),
    50529: (MAX_CONTENT_VARIABLES_CHARACTERS,),
    50540: (MAX_VARIABLE_KEY_CHARACTERS,),
    50541: (MAX_VARIABLE_VALUE_CHARACTERS,),
    50542: (MAX_CONTENT_VARIABLES,),
}
"""Maps an error code to the limits in its text, in the order of the text. A limit is a number or a part of the text."""

NOT_LIMITS = r"status 2xx|HS256|UTF-8|ISO 8601|32 hexadecimal digits|\d{4}-\d\d-\d\dT[\d:]+Z|P(?:T?\d+[SMHD])|\+\d+"
"""Matches the numbers in error texts that are not limits."""


def test_limits_in_error_texts_equal_the_limits_that_the_code_checks() -> None:
    texts = {code: error.text for code, error in CATALOGUE.items()}
    texts |= {code: entry.text for code, entry in LOG_ENTRIES.items()}
    texts = {code: re.sub(NOT_LIMITS, "", text) for code, text in texts.items()}
    assert {code for code, text in texts.items() if re.search(r"\d", text)} == set(LIMITS)
    for code, limits in LIMITS.items():
        parts = [f"{limit:,}" if isinstance(limit, int) else limit for limit in limits]
        numbers = [number for part in parts for number in re.findall(r"\d[\d,]*\b", part)]
        assert re.findall(r"\d[\d,]*\b", texts[code]) == numbers, code
        assert all(part in texts[code] for part in parts), code


def test_only_friendly_names_of_api_keys_and_credentials_have_the_shorter_limit() -> None:
    described = document()
    limits: dict[int, set[str]] = {}
    for path, operations in described["paths"].items():
        for body in (operation.get("requestBody", {}) for operation in operations.values()):
            form = body.get("content", {}).get("application/x-www-form-urlencoded", {}).get("schema", {})
            schema = described["components"]["schemas"].get(form.get("$ref", "").rpartition("/")[2], {})
            if name := schema.get("properties", {}).get("FriendlyName"):
                limits.setdefault(name["maxLength"], set()).add(re.findall(r"/([A-Z]\w+)", path)[-1])
    assert MAX_KEY_NAME_CHARACTERS == MAX_CREDENTIAL_NAME_CHARACTERS
    assert set(limits) == {MAX_NAME_CHARACTERS, MAX_KEY_NAME_CHARACTERS}
    assert limits[MAX_KEY_NAME_CHARACTERS] == {"Keys", "Credentials"}
    assert limits[MAX_NAME_CHARACTERS] > {"Conversations", "Roles", "Services", "Users"}


def test_error_details_that_the_text_does_not_use_are_kept() -> None:
    error = UniqueNameTakenError(parameter="UniqueName", conflicting_conversation_sid=SID)
    assert error.parameter == "UniqueName"
    assert error.details == {"conflicting_conversation_sid": SID}
    assert SID not in error.message


def test_braces_in_a_detail_are_not_formatted_again() -> None:
    assert BindingsTakenError(where="{where}{0}").message.endswith("{where}{0}")


def test_at_returns_a_copy_of_the_error_with_the_parameter() -> None:
    error = GroupExistsError(conflicting_conversation_sid=SID)
    found = error.at("Participant[1]")
    assert type(found) is GroupExistsError
    assert (found.parameter, found.details, found.message) == ("Participant[1]", error.details, error.message)
    assert error.parameter is None


def test_error_without_arguments_has_no_parameter_and_no_details() -> None:
    error = InternalError()
    assert error.parameter is None
    assert error.details == {}


def test_log_only_codes_are_not_in_the_catalogue() -> None:
    assert set(LOG_ENTRIES) == {11200, 21610, 21703, 30001, *range(30003, 30009), 30019, 50057, 50076, 50427}
    assert not set(LOG_ENTRIES) & set(CATALOGUE)
    for entry in LOG_ENTRIES.values():
        assert not issubclass(entry, BaseException)
        assert not hasattr(entry, "status")
        assert not placeholders(entry.text)
        assert "twilio" not in entry.text.lower()
        assert entry.more_info == f"https://www.twilio.com/docs/errors/{entry.code}"


def test_pydantic_collects_the_error_that_a_validator_raises() -> None:
    error = UniqueNameTakenError(parameter="UniqueName")

    def refuse(value: str) -> str:
        raise error

    with pytest.raises(ValidationError) as caught:
        TypeAdapter(list[Annotated[str, AfterValidator(refuse)]]).validate_python(["one", "two"])
    assert [found["ctx"]["error"] for found in caught.value.errors()] == [error, error]
    assert caught.value.errors()[0]["ctx"]["error"] is error


DECISION = ROOT / "docs/decisions/0067-errors-kept-for-later-steps.md"


def raised_errors() -> set[str]:
    """Return the names that `names_in_use` finds in all modules of Convoke, except the modules in NEVER_RAISING.

    An error class that is not among these names is never raised.
    """
    paths = [path for path in SOURCE.rglob("*.py") if path.relative_to(SOURCE).as_posix() not in NEVER_RAISING]
    return {name for path in paths for name in names_in_use(ast.parse(path.read_text()))}


def names_in_use(node: ast.AST, *, in_use: bool = False) -> Iterator[str]:
    """Yield each name that the code uses in a place from which an error class can be raised.

    These places are function bodies, positional arguments, and assignments of a name to another name. Ignore names that
    do not lead to a raised error. These are the names after `except`, in a call of `isinstance`, and in keyword
    arguments outside functions.
    """
    match node:
        case ast.ExceptHandler():
            yield from (name for statement in node.body for name in names_in_use(statement, in_use=in_use))
            return
        case ast.Call(func=ast.Name("isinstance")):
            return
        case ast.Call():
            yield from names_in_use(node.func, in_use=in_use)
            yield from (name for argument in node.args for name in names_in_use(argument, in_use=True))
            yield from (name for keyword in node.keywords for name in names_in_use(keyword, in_use=in_use))
            return
        case ast.FunctionDef() | ast.AsyncFunctionDef():
            # Annotations and default values do not raise errors. Therefore visit only the body.
            yield from (name for statement in node.body for name in names_in_use(statement, in_use=True))
            return
        case ast.Assign(value=ast.Name(name)) | ast.AnnAssign(value=ast.Name(name)):
            yield name
        case ast.Name() if in_use:
            yield node.id
        case ast.Attribute() if in_use:
            yield node.attr
    for child in ast.iter_child_nodes(node):
        yield from names_in_use(child, in_use=in_use)


def kept_errors() -> list[tuple[str, int]]:
    """Return the name and the code of each error class in the table of DECISION."""
    return [
        (name, int(code)) for name, code in re.findall(r"^\| `(\w+)` \| (\d+) \|", DECISION.read_text(), re.MULTILINE)
    ]


def test_each_error_is_either_raised_or_listed_for_a_later_step() -> None:
    every = {error.__name__ for error in [*CATALOGUE.values(), *LOG_ENTRIES.values()]}
    kept = [name for name, _ in kept_errors()]
    assert sorted(every - raised_errors()) == sorted(kept)


def test_listed_errors_have_the_codes_of_the_catalogue() -> None:
    for name, code in kept_errors():
        assert CATALOGUE[code].__name__ == name


@pytest.mark.parametrize(
    ("source", "names"),
    [
        ("def f():\n    raise AError from error", {"AError"}),
        ("def f():\n    yield AError(parameter='x')", {"AError"}),
        ("async def f() -> BError:\n    raise AError", {"AError"}),
        ("Date = Annotated[str, BeforeValidator(parse(AError))]", {"AError"}),
        ("entry = AError", {"AError"}),
        ("CREATE = Contract('Conversation', errors=(AError,))", set()),
        ("order_of_checks = (AError, BError)", set()),
        ("try:\n    f()\nexcept AError:\n    pass", set()),
        ("def f() -> AError:\n    return isinstance(x, AError)", set()),
    ],
)
def test_lists_and_handlers_of_errors_do_not_count_as_raising(source: str, names: set[str]) -> None:
    assert {name for name in names_in_use(ast.parse(source)) if name.endswith("Error")} == names
