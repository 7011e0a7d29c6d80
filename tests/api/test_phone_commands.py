"""`convoke phone` sends messages from a simulated phone to a running instance, and prints the phone's inbox."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from convoke.cli import phones
from convoke.cli.main import main
from convoke.testing.instance import RunningInstance, running
from tests.support.phones import BUSINESS, PHONE


def run(*arguments: str, **environment: str) -> Result:
    return CliRunner().invoke(main, ["phone", *arguments], env=environment)


def send(instance: RunningInstance, *options: str) -> Result:
    credentials = {"CONVOKE_ACCOUNT_SID": instance.account_sid, "CONVOKE_AUTH_TOKEN": instance.auth_token}
    return run("send", "--from", PHONE, "--url", instance.url, *options, **credentials)


def test_phone_send_prints_the_outcome_of_the_message() -> None:
    with running() as instance:
        v1 = instance.client().conversations.v1
        v1.address_configurations.create(type="sms", address=BUSINESS, auto_creation_enabled=True)
        sent = json.loads(send(instance, "--to", BUSINESS, "--body", "Hello & hi").stdout)
        assert sent["outcome"] == "added"
        messages = v1.conversations(sent["conversation_sid"]).messages
        assert messages(sent["message_sid"]).fetch().body == "Hello & hi"
        group = json.loads(send(instance, "--to", BUSINESS, "--to", "+15558675311", "--body", "all").stdout)
        assert len(v1.conversations(group["conversation_sid"]).participants.list()) == 3
        refused = send(instance, "--to", "5017122661", "--body", "Hello")
        assert refused.exit_code == 1
        assert refused.stderr.startswith("Error: To[0]: Invalid messaging binding address")


def test_phone_inbox_prints_the_received_messages() -> None:
    with running() as instance:
        v1 = instance.client().conversations.v1
        v1.address_configurations.create(type="sms", address=BUSINESS, auto_creation_enabled=True)
        sid = json.loads(send(instance, "--to", BUSINESS, "--body", "Hello").stdout)["conversation_sid"]
        v1.conversations(sid).messages.create(author="support", body="Hi there")
        instance.settle()
        credentials = {"CONVOKE_ACCOUNT_SID": instance.account_sid, "CONVOKE_AUTH_TOKEN": instance.auth_token}
        printed = run("inbox", PHONE, "--url", f"{instance.url}/", **credentials).stdout
        (got,) = map(json.loads, printed.splitlines())
        assert (got["from"], got["to"], got["body"]) == (BUSINESS, PHONE, "Hi there")
        assert run("inbox", "+15558675311", "--url", instance.url, **credentials).stdout == ""
        refused = run("inbox", "5558675310", "--url", instance.url, **credentials)
        assert (refused.exit_code, refused.stdout) == (2, "")
        assert "must be the address of a phone" in refused.stderr


def test_stop_is_answered_once_although_a_pre_event_interrupts_the_request() -> None:
    """A pre-event makes Convoke run the request again on a worker thread, because the event loop must not wait."""
    with running() as instance:
        v1 = instance.client().conversations.v1
        v1.address_configurations.create(type="sms", address=BUSINESS, auto_creation_enabled=True)
        send(instance, "--to", BUSINESS, "--body", "Hello")
        instance.receiver.answer(200, event_type="onMessageAdd")
        assert json.loads(send(instance, "--to", BUSINESS, "--body", "STOP").stdout)["outcome"] == "added"
        (answer,) = instance.phone(PHONE).inbox
        assert "START" in answer.body


def test_phone_inbox_prints_every_page(monkeypatch: pytest.MonkeyPatch) -> None:
    with running() as instance:
        monkeypatch.setattr(phones, "PAGE_SIZE", 2)
        credentials = {"CONVOKE_ACCOUNT_SID": instance.account_sid, "CONVOKE_AUTH_TOKEN": instance.auth_token}
        for _ in range(3):
            instance.phone(PHONE).send("HELP", BUSINESS)
        printed = run("inbox", PHONE, "--url", instance.url, **credentials).stdout
        assert len(printed.splitlines()) == 3


def test_phone_send_without_an_instance_or_data_file_says_so(tmp_path: Path) -> None:
    credentials = {"CONVOKE_ACCOUNT_SID": "AC" + "0" * 32, "CONVOKE_AUTH_TOKEN": "0" * 32}
    url = "http://127.0.0.1:9"
    silent = run("send", "--from", PHONE, "--to", BUSINESS, "--url", url, **credentials)
    assert silent.stderr == f"Error: no instance answers at {url}: start `convoke up`, or use --url\n"
    missing = run("send", "--from", PHONE, "--to", BUSINESS, "--data", str(tmp_path / "no.db"))
    assert missing.stderr.startswith("Error: there is no data file")


@pytest.mark.parametrize("option", ["--from", "--to"])
def test_phone_send_needs_both_numbers(option: str) -> None:
    assert f"Missing option '{'--to' if option == '--from' else '--from'}'" in run("send", option, PHONE).stderr
