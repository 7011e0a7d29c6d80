"""Convoke accepts only valid values of the parameter `Participant`. See docs/behaviour/participants.md."""

from __future__ import annotations

import json
from datetime import UTC, datetime

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from convoke.api.form import Form
from convoke.api.parameter_names import PARTICIPANT
from convoke.api.parameters import read_participants
from convoke.domain.addresses import Channel
from convoke.domain.errors import ConversationsError, refusal
from convoke.domain.participants import MessagingBinding, NewParticipant

DIGITS = "0123456789abcdef" * 2

BAD_DATES: tuple[object, ...] = ("", "2020-01-01", "yesterday", 1577836800, True, [], {})

ADDRESS = "+15558675310"
PROXY = "+15017122661"
EMAIL = "a@example.com"

PHONE = {"address": ADDRESS, "proxy_address": PROXY}

BINDING = "messaging_binding"
EMOJI = "\U0001f600"


def parsed(*values: str) -> tuple[NewParticipant, ...]:
    participants, problems = read_participants(Form([(PARTICIPANT, value) for value in values]))
    if problems:
        raise refusal(problems)
    return participants


def taken(member: object) -> NewParticipant:
    (participant,) = parsed(json.dumps(member))
    return participant


def refused(*values: str) -> ConversationsError:
    with pytest.raises(ConversationsError) as caught:
        parsed(*values)
    return caught.value


def taken_or_refused(value: str) -> NewParticipant | ConversationsError:
    try:
        (participant,) = parsed(value)
    except ConversationsError as error:
        return error
    return participant


def bound(**binding: object) -> dict[str, object]:
    return {BINDING: binding}


@pytest.mark.parametrize(
    ("member", "code", "where"),
    [
        pytest.param({"identity": "a", **bound(address=ADDRESS)}, 50211, ".identity", id="I+A"),
        pytest.param({"identity": "a", **bound(proxy_address=PROXY)}, 50211, ".identity", id="I+P"),
        pytest.param({"identity": "a", **bound(**PHONE)}, 50211, ".identity", id="I+A+P"),
        pytest.param(
            {"identity": "a", **bound(type="email", address=EMAIL)}, 50211, ".identity", id="I and A of an e-mail"
        ),
        pytest.param(bound(address=ADDRESS, projected_address=PROXY), 50407, f".{BINDING}.address", id="A+J"),
        pytest.param(bound(**PHONE, projected_address=PROXY), 50407, f".{BINDING}.address", id="A+P+J"),
        pytest.param(bound(proxy_address=PROXY), 50411, f".{BINDING}.address", id="P alone"),
        pytest.param({}, 50204, ".identity", id="nothing"),
        pytest.param(bound(), 50204, ".identity", id="empty binding"),
        pytest.param({"identity": None, BINDING: None}, 50204, ".identity", id="nulls"),
        pytest.param(bound(address=None, proxy_address=None), 50204, ".identity", id="nulls in the binding"),
        pytest.param({"messagingBinding": PHONE}, 50204, ".identity", id="camel case"),
        pytest.param({"MessagingBinding.Address": ADDRESS}, 50204, ".identity", id="dotted name"),
        pytest.param({"Identity": "a"}, 50204, ".identity", id="capital letter"),
        pytest.param({"attributes": "{}"}, 50204, ".identity", id="attributes alone"),
        pytest.param({"identity": ""}, 50204, ".identity", id="empty identity"),
        pytest.param({"identity": "x" * 257}, 50207, ".identity", id="long identity"),
        pytest.param({"identity": EMOJI * 257}, 50207, ".identity", id="long identity of emoji"),
        pytest.param({"identity": "US" + DIGITS}, 50206, ".identity", id="identity like a user SID"),
        pytest.param({"identity": "US" + DIGITS.upper()}, 50206, ".identity", id="identity like a capital user SID"),
        pytest.param({"identity": 5}, 20001, ".identity", id="identity that is a number"),
        pytest.param({"identity": ["a"]}, 20001, ".identity", id="identity that is an array"),
        pytest.param(
            bound(address=ADDRESS, proxy_address=ADDRESS), 50409, f".{BINDING}.proxy_address", id="A == P by SMS"
        ),
        pytest.param(
            bound(address="whatsapp:" + ADDRESS, proxy_address="whatsapp:" + ADDRESS),
            50409,
            f".{BINDING}.proxy_address",
            id="A == P by WhatsApp",
        ),
        *[
            pytest.param(
                bound(address=address, proxy_address=proxy),
                50414,
                f".{BINDING}.proxy_address",
                id=f"{address}, {proxy}",
            )
            for address, proxy in [
                ("whatsapp:" + ADDRESS, PROXY),
                (ADDRESS, "whatsapp:" + PROXY),
                ("whatsapp:" + ADDRESS, ADDRESS),
                ("rcs:" + ADDRESS, PROXY),
                ("rcs:" + ADDRESS, "whatsapp:" + PROXY),
                ("messenger:1", PROXY),
                (ADDRESS, EMAIL),
            ]
        ],
        pytest.param(
            bound(type="email", address=EMAIL, proxy_address="b@example.com"),
            50453,
            f".{BINDING}.proxy_address",
            id="P on e-mail",
        ),
        pytest.param(
            bound(type="email", address=EMAIL, proxy_address=PROXY),
            50453,
            f".{BINDING}.proxy_address",
            id="P on e-mail that is a number",
        ),
        pytest.param(bound(address="", proxy_address=PROXY), 50411, f".{BINDING}.address", id="A empty"),
        pytest.param(bound(address=""), 50411, f".{BINDING}.address", id="A empty, alone"),
        pytest.param(bound(address=ADDRESS, proxy_address=""), 50412, f".{BINDING}.proxy_address", id="P empty"),
        *[
            pytest.param(bound(address=bad, proxy_address=PROXY), 50407, f".{BINDING}.address", id=f"A {bad[:20]!r}")
            for bad in (
                *("15558675310", "+1 555 867 5310", "+12", "+1555867531O", "alice", " ", "whatsapp:", "fax:" + ADDRESS),
                "messenger:" + "x" * 247,
            )
        ],
        *[
            pytest.param(
                bound(address=ADDRESS, proxy_address=bad), 50408, f".{BINDING}.proxy_address", id=f"P {bad[:20]!r}"
            )
            for bad in ("15017122661", "+12", "alice", " ", "whatsapp:", "messenger:" + "x" * 247)
        ],
        pytest.param(bound(address=EMAIL), 50407, f".{BINDING}.address", id="e-mail without its type"),
        pytest.param(bound(type="sms", address=EMAIL), 50407, f".{BINDING}.address", id="e-mail as SMS"),
        *[
            pytest.param(bound(projected_address=bad), 50439, f".{BINDING}.projected_address", id=f"J {bad[:20]!r}")
            for bad in ("", "15017122661", "alice", "whatsapp:" + PROXY, EMAIL, "+" + "1" * 300)
        ],
        pytest.param(bound(**PHONE, name="A"), 50420, f".{BINDING}.name", id="name on SMS"),
        pytest.param(bound(**PHONE, name=""), 50420, f".{BINDING}.name", id="empty name on SMS"),
        pytest.param(bound(**PHONE, level="to"), 50420, f".{BINDING}.level", id="level on SMS"),
        pytest.param(bound(projected_address=PROXY, name="A"), 50420, f".{BINDING}.name", id="name on J"),
        pytest.param(
            bound(type="email", address=EMAIL, level="bcc"), 20001, f".{BINDING}.level", id="unknown level of e-mail"
        ),
        pytest.param(bound(type="fax", address=ADDRESS), 20001, f".{BINDING}.type", id="unknown type"),
        pytest.param(bound(type="", **PHONE), 20001, f".{BINDING}.type", id="empty type"),
        pytest.param(bound(type="whatsapp", **PHONE), 20001, f".{BINDING}.type", id="type of another channel"),
        pytest.param(bound(type="email", **PHONE), 20001, f".{BINDING}.type", id="number as e-mail"),
        pytest.param({BINDING: "text"}, 20001, f".{BINDING}", id="binding that is text"),
        pytest.param({BINDING: json.dumps(PHONE)}, 20001, f".{BINDING}", id="binding that is JSON in text"),
        pytest.param({"identity": "a", "attributes": "text"}, 50304, ".attributes", id="attributes no JSON"),
        pytest.param({"identity": "a", "attributes": ""}, 50304, ".attributes", id="attributes empty"),
        pytest.param(
            {"identity": "a", "attributes": f'"{"x" * 4095}"'}, 50303, ".attributes", id="attributes over 4 KB"
        ),
        pytest.param(
            {"identity": "a", "attributes": f'"{"é" * 2047}" '},
            50303,
            ".attributes",
            id="attributes over 4 KB of UTF-8",
        ),
        pytest.param(
            {"identity": "a", "attributes": {"k": "x" * 4096}},
            50303,
            ".attributes",
            id="attributes, an object, over 4 KB",
        ),
        pytest.param({"identity": "a", "role_sid": "x"}, 50109, ".role_sid", id="role SID malformed"),
        pytest.param({"identity": "a", "role_sid": ""}, 50109, ".role_sid", id="role SID empty"),
        pytest.param({"identity": "a", "role_sid": "US" + DIGITS}, 50109, ".role_sid", id="role SID of a user"),
        *[
            pytest.param({"identity": "a", name: bad}, code, f".{name}", id=f"{name} {bad!r}")
            for name, code in (("date_created", 50308), ("date_updated", 50309))
            for bad in BAD_DATES
        ],
    ],
)
def test_invalid_participant_is_rejected_with_its_code_and_field(member: object, code: int, where: str) -> None:
    error = refused('{"identity": "someone"}', json.dumps(member))
    assert (error.code, error.status, error.parameter) == (code, 400, f"Participant[1]{where}")


@pytest.mark.parametrize(
    ("member", "identity", "binding"),
    [
        pytest.param({"identity": "alice"}, "alice", None, id="chat"),
        pytest.param(
            bound(**PHONE),
            None,
            MessagingBinding(type=Channel.SMS, address=ADDRESS, proxy_address=PROXY),
            id="SMS",
        ),
        pytest.param(
            bound(address="whatsapp:" + ADDRESS, proxy_address="whatsapp:" + PROXY),
            None,
            MessagingBinding(type=Channel.WHATSAPP, address="whatsapp:" + ADDRESS, proxy_address="whatsapp:" + PROXY),
            id="WhatsApp",
        ),
        pytest.param(
            bound(address="rcs:" + ADDRESS, proxy_address="rcs:brand_agent"),
            None,
            MessagingBinding(type=Channel.RCS, address="rcs:" + ADDRESS, proxy_address="rcs:brand_agent"),
            id="RCS",
        ),
        pytest.param(
            bound(address="messenger:1", proxy_address="messenger:2"),
            None,
            MessagingBinding(type=Channel.MESSENGER, address="messenger:1", proxy_address="messenger:2"),
            id="Messenger",
        ),
        pytest.param(
            bound(address=ADDRESS), None, MessagingBinding(type=Channel.SMS, address=ADDRESS), id="phone in a group"
        ),
        pytest.param(
            bound(projected_address=PROXY),
            None,
            MessagingBinding(type=Channel.SMS, projected_address=PROXY),
            id="business number in a group",
        ),
        pytest.param(
            {"identity": "alice", **bound(projected_address=PROXY)},
            "alice",
            MessagingBinding(type=Channel.SMS, projected_address=PROXY),
            id="mask in a group",
        ),
        pytest.param(
            bound(type="email", address=EMAIL, name="A", level="to"),
            None,
            MessagingBinding(type=Channel.EMAIL, address=EMAIL, name="A", level="to"),
            id="e-mail",
        ),
        pytest.param(
            bound(type="email", address=EMAIL),
            None,
            MessagingBinding(type=Channel.EMAIL, address=EMAIL),
            id="e-mail without name and level",
        ),
    ],
)
def test_every_valid_kind_of_participant_is_accepted(
    member: object, identity: str | None, binding: MessagingBinding | None
) -> None:
    participant = taken(member)
    assert (participant.identity, participant.binding()) == (identity, binding)
    assert participant.attributes == "{}"
    assert (participant.role_sid, participant.date_created, participant.date_updated) == (None, None, None)


@pytest.mark.parametrize(
    ("member", "pair", "group_address", "projected_address"),
    [
        ({"identity": "a"}, None, None, None),
        (bound(**PHONE), (ADDRESS, PROXY), None, None),
        (bound(address=ADDRESS), None, ADDRESS, None),
        (bound(projected_address=PROXY), None, None, PROXY),
        ({"identity": "a", **bound(projected_address=PROXY)}, None, None, PROXY),
        (bound(type="email", address=EMAIL), None, None, None),
    ],
)
def test_binding_fields_determine_the_pair_and_the_group_address(
    member: object, pair: tuple[str, str] | None, group_address: str | None, projected_address: str | None
) -> None:
    participant = taken(member)
    assert (participant.pair, participant.group_address) == (pair, group_address)
    assert participant.projected_address == projected_address


@pytest.mark.parametrize("type_", ["sms", "SMS", "Sms"])
def test_binding_type_is_case_insensitive(type_: str) -> None:
    binding = taken(bound(type=type_, **PHONE)).binding()
    assert binding is not None
    assert binding.type is Channel.SMS


@pytest.mark.parametrize("type_", ["whatsapp", "whAtsAPP"])
def test_binding_type_that_matches_the_addresses_is_accepted(type_: str) -> None:
    member = bound(type=type_, address="whatsapp:" + ADDRESS, proxy_address="whatsapp:" + PROXY)
    assert taken(member).messaging_binding.type is Channel.WHATSAPP


@pytest.mark.parametrize("level", ["to", "cc", "from", "TO", "Cc"])
def test_email_level_is_case_insensitive(level: str) -> None:
    binding = taken(bound(type="email", address=EMAIL, level=level)).binding()
    assert binding is not None
    assert binding.level == level.lower()


@pytest.mark.parametrize("identity", ["x" * 256, EMOJI * 256, " ", " alice ", "Alice", "US1", "CH" + DIGITS, "+1", "@"])
def test_identity_of_up_to_256_characters_is_stored_unchanged(identity: str) -> None:
    assert taken({"identity": identity}).identity == identity


@pytest.mark.parametrize("fill", ["x", EMOJI])
def test_address_or_proxy_longer_than_256_characters_is_rejected(fill: str) -> None:
    address, proxy = "messenger:" + fill * 246, "messenger:p" + fill * 245
    assert taken(bound(address=address, proxy_address=proxy)).pair == (address, proxy)
    assert refused(json.dumps(bound(address=address + fill, proxy_address=proxy))).code == 50407
    assert refused(json.dumps(bound(address=address, proxy_address=proxy + fill))).code == 50408


@pytest.mark.parametrize("attributes", ['{ "role": "driver" }', "[]", "null", f'"{"x" * 4094}"', f'"{"é" * 2047}"'])
def test_participant_attributes_of_up_to_4_kilobytes_are_stored_unchanged(attributes: str) -> None:
    assert taken({"identity": "a", "attributes": attributes}).attributes == attributes


@pytest.mark.parametrize("attributes", [{}, {"role": "driver"}, {"a": [1, 2.5, None, {"b": True}]}, {"é": EMOJI}])
def test_participant_attributes_may_be_a_json_object(attributes: dict[str, object]) -> None:
    kept = taken({"identity": "a", "attributes": attributes}).attributes
    assert json.loads(kept) == attributes


def test_attributes_object_limit_counts_utf_8_bytes() -> None:
    attributes = {"note": "é" * 2000}
    assert json.loads(taken({"identity": "a", "attributes": attributes}).attributes) == attributes


def test_participant_role_sid_and_dates_are_accepted() -> None:
    member = {
        "identity": "a",
        "role_sid": "RL" + DIGITS,
        "date_created": "2020-01-01T00:00:00Z",
        "date_updated": "2020-01-01T03:00:00+02:00",
    }
    participant = taken(member)
    assert participant.role_sid == "RL" + DIGITS
    assert participant.date_created == datetime(2020, 1, 1, tzinfo=UTC)
    assert participant.date_updated == datetime(2020, 1, 1, 1, tzinfo=UTC)


def test_unknown_participant_keys_are_ignored() -> None:
    member = {"identity": "a", "colour": "red", BINDING: {"unknown": {"deep": [1]}}, "sid": "MB" + DIGITS}
    assert taken(member) == taken({"identity": "a"})


def test_null_participant_values_count_as_omitted() -> None:
    keys = ("attributes", "role_sid", "date_created", "date_updated", BINDING)
    assert taken({"identity": "a", **dict.fromkeys(keys)}) == taken({"identity": "a"})
    unused = dict.fromkeys(("type", "projected_address", "name", "level"))
    assert taken(bound(**PHONE, **unused)).binding() == taken(bound(**PHONE)).binding()


@pytest.mark.parametrize(
    "value",
    [
        "",
        " ",
        "text",
        "{",
        "{}{}",
        "{'identity': 'a'}",
        '{"identity": "a",}',
        "identity=a",
        "null",
        "true",
        "5",
        '"text"',
        "[]",
        '[{"identity": "a"}]',
        '"{\\"identity\\": \\"a\\"}"',
        "NaN",
        "\ufeff{}",
        "{" * 100_000,
        '{"a":' * 100_000 + "1" + "}" * 100_000,
    ],
    ids=lambda value: repr(value[:24]),
)
def test_participant_value_that_is_not_a_json_object_is_rejected(value: str) -> None:
    error = refused('{"identity": "someone"}', value)
    assert (error.code, error.status, error.parameter) == (50424, 400, "Participant[1]")


@pytest.mark.parametrize("number", ["NaN", "Infinity", "-Infinity"])
def test_nan_and_infinity_in_a_participant_are_rejected(number: str) -> None:
    assert refused('{"identity": "a", "score": ' + number + "}").code == 50424


@pytest.mark.parametrize(
    ("value", "where"),
    [
        ('{"identity": "\\ud800"}', "identity"),
        ('{"messaging_binding": {"address": "messenger:\\udfff", "proxy_address": "messenger:x"}}', "address"),
        ('{"messaging_binding": {"address": "messenger:x", "proxy_address": "messenger:\\udfff"}}', "proxy_address"),
        ('{"messaging_binding": {"address": "messenger:\\ud800"}}', "group address"),
        ('{"messaging_binding": {"type": "email", "address": "\\ud800@b"}}', "e-mail address"),
        ('{"messaging_binding": {"type": "email", "address": "a@b", "name": "\\ud800"}}', "name"),
    ],
)
def test_lone_surrogate_in_a_participant_is_rejected(value: str, where: str) -> None:
    """JSON can contain an escaped lone surrogate, but UTF-8 cannot encode it. Therefore Convoke cannot store it."""
    error = refused('{"identity": "someone"}', value)
    assert error.status == 400, where
    assert error.parameter is not None
    assert error.parameter.startswith("Participant[1]")


@pytest.mark.parametrize("key", ["attributes", "date_created", "identity", "role_sid", BINDING, "unknown"])
@pytest.mark.parametrize(("opening", "closing"), [("[", "]"), ('{"a":', "}")])
def test_deeply_nested_participant_is_accepted_or_rejected_without_a_crash(
    key: str, opening: str, closing: str
) -> None:
    for depth in [*range(900, 1100, 3), 5_000, 50_000]:
        nested = opening * depth + "1" + closing * depth
        outcome = taken_or_refused(f'{{"identity": "a", "{key}": {nested}}}')
        assert isinstance(outcome, NewParticipant) or outcome.status == 400


@pytest.mark.parametrize("count", [0, 1, 2, 10])
def test_zero_to_ten_participants_are_accepted(count: int) -> None:
    values = [json.dumps({"identity": f"member {number}"}) for number in range(count)]
    assert [member.identity for member in parsed(*values)] == [f"member {number}" for number in range(count)]


@pytest.mark.parametrize("value", ['{"identity": "a"}', "no JSON", "{}"])
def test_eleven_participants_are_rejected(value: str) -> None:
    error = refused(*[value] * 11)
    assert (error.code, error.status, error.field) == (50426, 400, ("participants",))


def test_first_of_two_invalid_participants_is_reported() -> None:
    error = refused('{"identity": "a"}', "{}", json.dumps(bound(address="")))
    assert (error.code, error.parameter) == (50204, "Participant[1].identity")


def test_malformed_json_is_reported_before_other_participant_errors() -> None:
    error = refused("{}", "no JSON")
    assert (error.code, error.parameter) == (50424, "Participant[1]")


def test_participant_error_does_not_contain_the_given_address() -> None:
    secret = "+1secret"
    error = refused(json.dumps(bound(address=secret, proxy_address=PROXY)))
    assert secret not in error.message
    assert secret not in str(error.details)


JSON_VALUES = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), st.floats(allow_nan=False), st.text()),
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(st.text(), inner, max_size=3)),
    max_leaves=5,
)

ADDRESSES = st.one_of(
    st.sampled_from(["", ADDRESS, PROXY, EMAIL, "whatsapp:" + ADDRESS, "rcs:x", "messenger:1", "x"]), JSON_VALUES
)

BINDINGS = st.fixed_dictionaries(
    {},
    optional={
        "type": st.one_of(st.sampled_from(["sms", "email", "whatsapp"]), JSON_VALUES),
        "address": ADDRESSES,
        "proxy_address": ADDRESSES,
        "projected_address": ADDRESSES,
        "name": JSON_VALUES,
        "level": JSON_VALUES,
    },
)

MEMBERS = st.fixed_dictionaries(
    {},
    optional={
        "identity": JSON_VALUES,
        BINDING: st.one_of(BINDINGS, JSON_VALUES),
        "attributes": JSON_VALUES,
        "role_sid": JSON_VALUES,
        "date_created": JSON_VALUES,
        "date_updated": JSON_VALUES,
    },
)


@settings(deadline=None)
@given(MEMBERS)
def test_any_json_object_is_a_participant_or_rejected_with_400(member: dict[str, object]) -> None:
    outcome = taken_or_refused(json.dumps(member))
    if isinstance(outcome, ConversationsError):
        assert outcome.status == 400
        assert outcome.parameter is not None
        assert outcome.parameter.startswith("Participant[0]")
        return
    binding = outcome.binding()
    assert outcome.identity or binding
    assert not (outcome.identity and binding and binding.address)
    assert outcome.model_dump_json()
