"""`convoke sender` assigns an AWS account's phone numbers to Convoke accounts, and manages the resulting senders."""

from __future__ import annotations

from pathlib import Path

from tests.support.cli_targets import FIRST, UNKNOWN, CliTarget, StackTarget, data_file_target, refusal

NUMBER = "+15017122661"
ARN = "arn:aws:sms-voice:us-east-1:123456789012:phone-number/phone-0123"


def assign(target: CliTarget, *arguments: str) -> tuple[str, ...]:
    return ("sender", "assign", NUMBER, *arguments, "--origination-identity", ARN)


def test_assigned_sender_is_listed_and_released(deployed: StackTarget) -> None:
    (assigned,) = deployed.printed(*assign(deployed), "--configuration-set", "events")
    assert {name: assigned[name] for name in ("account_sid", "address", "provider", "origination_identity")} == {
        "account_sid": FIRST,
        "address": NUMBER,
        "provider": "aws",
        "origination_identity": ARN,
    }
    assert assigned["configuration_set"] == "events"
    assert deployed.printed("sender", "list") == [assigned]
    released = deployed.printed("sender", "release", assigned["sid"])
    assert released == [{"sid": assigned["sid"], "address": NUMBER}]
    assert deployed.printed("sender", "list") == []


def test_operator_sets_and_removes_the_limit(deployed: StackTarget) -> None:
    (assigned,) = deployed.printed(*assign(deployed), "--max-messages-per-second", "3")
    assert assigned["max_messages_per_second"] == 3
    for arguments, limit in ((["10"], 10), ([], None)):
        (changed,) = deployed.printed("sender", "limit", assigned["sid"], *arguments)
        assert changed["max_messages_per_second"] == limit
        assert deployed.printed("sender", "list") == [changed]
    wanted = "must be an integer from 1 to 500"
    assert wanted in refusal(deployed.run("sender", "limit", assigned["sid"], "0"))
    assert wanted in refusal(deployed.run(*assign(deployed), "--max-messages-per-second", "0"))


def test_number_is_assigned_to_one_account(deployed: StackTarget) -> None:
    (other,) = deployed.printed("account", "create")
    deployed.printed(*assign(deployed, other["sid"]))
    line = refusal(deployed.run(*assign(deployed)))
    assert line == "Error: The address has a sender: an address can have one sender, in one account"
    assert [each["address"] for each in deployed.printed("sender", "list", other["sid"])] == [NUMBER]


def test_invalid_sender_is_refused_in_one_line(deployed: StackTarget) -> None:
    line = refusal(deployed.run("sender", "assign", "+1", "--origination-identity", ARN))
    assert "proxy address must be valid" in line
    assert refusal(deployed.run(*assign(deployed, UNKNOWN))).startswith(f"Error: there is no account {UNKNOWN}")


def test_assignment_needs_a_stack(tmp_path: Path) -> None:
    with data_file_target(tmp_path / "convoke.db") as target:
        target.printed("account", "create")
        line = refusal(target.run(*assign(target)))
    assert line == "Error: only an AWS deployment has senders of its AWS account: use --stack"


def test_unknown_sender_is_neither_released_nor_limited(place: CliTarget) -> None:
    place.printed("account", "create")
    sid = "XE" + "0" * 32
    for command in ("release", "limit"):
        line = refusal(place.run("sender", command, sid))
        assert line == f"Error: there is no sender {sid} in {place.name_in_messages}"
