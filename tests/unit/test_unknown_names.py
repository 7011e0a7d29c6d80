"""If a parameter name is unknown, Convoke suggests the probable name (api/unknown_names.py)."""

from __future__ import annotations

import logging

import pytest

from convoke.api.form import Form
from convoke.api.parameters import CreateParticipant, parse, parse_participant, read_participants
from convoke.api.resources.conversations import CreateConversation
from convoke.api.unknown_names import MAX_REPORTED_NAMES, hint_of, unknown_names
from convoke.domain.errors import AddressEmptyError

MISSING = "Identity not provided"
ADDRESS = "Participant[2].messaging_binding.address"

KNOWN = ("FriendlyName", "MessagingBinding.Address", "MessagingBinding.ProxyAddress", "State")


@pytest.mark.parametrize(
    ("name", "nearest"),
    [
        ("friendly_name", "FriendlyName"),
        ("FRIENDLYNAME", "FriendlyName"),
        ("FreindlyName", "FriendlyName"),
        ("MessagingBindingProxyAddress", "MessagingBinding.ProxyAddress"),
        ("Friendly Name 2", "FriendlyName"),
        ("Colour", None),
    ],
)
def test_unknown_name_has_the_nearest_known_name(name: str, nearest: str | None) -> None:
    assert unknown_names(["State", name], KNOWN) == {name: nearest}


@pytest.mark.parametrize("name", ["+15558675310", "jane@example.com", "Jane Doe", "x" * 41, "FriendlyName" * 4, ""])
def test_name_that_could_be_personal_data_is_omitted(name: str) -> None:
    assert unknown_names([name], KNOWN) == {}


def test_number_of_reported_names_is_limited() -> None:
    assert len(unknown_names([f"Colour{'x' * number}" for number in range(99)], KNOWN)) == MAX_REPORTED_NAMES


def test_hint_names_each_key() -> None:
    names = {"colour": None, "messagingBinding": "messaging_binding"}
    assert hint_of(names) == "unknown key colour; unknown key messagingBinding: did you mean messaging_binding?"


def warnings(caplog: pytest.LogCaptureFixture) -> list[tuple[str, object]]:
    return [
        (record.getMessage(), vars(record)["did_you_mean"])
        for record in caplog.records
        if record.levelno == logging.WARNING
    ]


def test_unknown_form_parameter_is_logged_and_ignored(caplog: pytest.LogCaptureFixture) -> None:
    assert parse(CreateConversation, Form([("friendlyName", "Jane Doe")])).friendly_name is None
    assert parse(CreateConversation, Form([("State", "active")]))
    parse_participant(CreateParticipant, Form([("Identity", "alice"), ("RoleSID", "Jane Doe")]))
    message = "unknown form parameters were ignored"
    assert warnings(caplog) == [(message, {"friendlyName": "FriendlyName"}), (message, {"RoleSID": "RoleSid"})]
    assert "Jane" not in caplog.text


def test_unknown_key_of_a_valid_participant_is_logged_and_ignored(caplog: pytest.LogCaptureFixture) -> None:
    participants, problems = read_participants(Form([("Participant", '{"identity": "alice", "roleSid": "x"}')]))
    assert (len(participants), problems) == (1, [])
    assert warnings(caplog) == [("unknown keys of a participant were ignored", {"roleSid": "role_sid"})]


def test_error_of_a_participant_names_its_unknown_keys() -> None:
    values = [
        '{"identity": ""}',
        '{"messagingBinding": {"address": "+15558675310"}}',
        '{"messaging_binding": {"adress": "+15558675310", "proxy_address": "+15017122661"}}',
    ]
    _, problems = read_participants(Form([("Participant", value) for value in values]))
    assert [problem.message for problem in problems] == [
        f"Participant[0].identity: {MISSING}",
        f"Participant[1].identity: {MISSING} (unknown key messagingBinding: did you mean messaging_binding?)",
        f"{ADDRESS}: {AddressEmptyError.text} (unknown key adress: did you mean address?)",
    ]
