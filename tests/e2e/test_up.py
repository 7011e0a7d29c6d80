"""`convoke up` and other commands work. Almost every test runs a command in a separate process."""

from __future__ import annotations

import gc
import json
import os
import re
import signal
import socket
import sqlite3
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from http.client import HTTPConnection
from pathlib import Path

import pytest
from twilio.base.exceptions import TwilioRestException
from twilio.request_validator import RequestValidator
from twilio.rest import Client

from convoke.cli.up import start_instance
from convoke.embedded.data_format import MEMORY
from tests.contract.test_webhook_client import receiver as receiver_in_http
from tests.support.examples import CHAT_AND_SMS
from tests.support.processes import TIMEOUT_SECONDS, UP, receiver, up


def convoke(*arguments: str, environ: dict[str, str] | None = None) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "convoke", *arguments]
    return subprocess.run(
        command, capture_output=True, text=True, check=False, timeout=60, env={**os.environ, **(environ or {})}
    )


@pytest.mark.parametrize("by", [signal.SIGTERM, signal.SIGINT])
def test_up_serves_until_a_signal_and_exits_with_0(by: signal.Signals) -> None:
    with up("--data", ":memory:") as instance:
        assert set(instance.ready) == {"url", "account_sid", "auth_token", "pid", "data", "console"}
        assert instance.ready["data"] == ":memory:"
        v1 = instance.client.conversations.v1
        created = v1.conversation_with_participants.create(participant=CHAT_AND_SMS)
        assert created.state == "initializing"
        assert created.url.startswith(instance.ready["url"])
        until = time.monotonic() + TIMEOUT_SECONDS
        while v1.conversations(created.sid).fetch().state != "active":
            assert time.monotonic() < until
        assert len(v1.conversations(created.sid).participants.list()) == 2
        assert instance.stop(by) == 0
        assert instance.process.stdout is not None
        assert instance.process.stdout.read() == ""


def test_idle_connection_stays_open_longer_than_a_pause_between_two_steps_of_a_user() -> None:
    with (
        up("--data", ":memory:") as instance,
        closing(HTTPConnection(str(instance.ready["url"]).removeprefix("http://"))) as connection,
    ):
        for pause in (0, 6):
            time.sleep(pause)
            connection.request("GET", "/healthz")
            assert connection.getresponse().read()
            assert connection.sock, "the second request uses the connection of the first request"


def test_started_instance_is_not_visited_by_the_garbage_collector() -> None:
    class Instance:
        def start(self, account_sid: str) -> None:
            assert gc.get_freeze_count() == 0

    ready: dict[str, str | int] = {"url": "", "account_sid": "", "auth_token": "", "pid": 0, "data": MEMORY}
    try:
        start_instance(Instance(), ready, as_json=True)  # type: ignore[arg-type]
        assert gc.get_freeze_count() > 0
    finally:
        gc.unfreeze()


def test_up_removes_the_items_of_deleted_conversations(tmp_path: Path) -> None:
    data = tmp_path / "convoke.db"
    with up("--data", str(data)) as instance:
        v1 = instance.client.conversations.v1
        sid = v1.conversation_with_participants.create(unique_name="visit", participant=CHAT_AND_SMS).sid
        assert v1.conversations(sid).delete()
        assert v1.conversation_with_participants.create(unique_name="visit", participant=CHAT_AND_SMS).sid != sid
        until = time.monotonic() + TIMEOUT_SECONDS
        while kept(data, f"%#{sid}"):
            assert time.monotonic() < until
        assert instance.stop() == 0


def test_advancing_the_test_clock_fires_timers() -> None:
    with receiver() as (url, received), up("--data", ":memory:", "--test-clock") as instance:
        client = instance.client
        v1, clock = client.conversations.v1, f"{instance.ready['url']}/convoke/v1/Clock"
        v1.configuration.webhooks().update(post_webhook_url=url, filters=["onConversationStateUpdated"])
        conversation = v1.conversations.create(timers_inactive="PT1M", timers_closed="PT10M")
        headers = {"Content-Type": "application/json"}
        answered = client.request("POST", clock, data={"advance": "PT1H"}, headers=headers, auth=client.auth)
        assert answered.status_code == 200, answered.text
        assert v1.conversations(conversation.sid).fetch().state == "closed"
        webhooks = [received.get(timeout=TIMEOUT_SECONDS)[0] for _ in range(2)]
        assert {(each["StateTo"], each["Reason"]) for each in webhooks} == {("inactive", "TIMER"), ("closed", "TIMER")}
        assert instance.stop() == 0


def test_clock_resource_is_404_without_test_clock_option() -> None:
    with up("--data", ":memory:") as instance:
        clock = f"{instance.ready['url']}/convoke/v1/Clock"
        assert instance.client.request("GET", clock, auth=instance.client.auth).status_code == 404


def test_test_clock_option_is_refused_with_aws_engine() -> None:
    line = one_line_of_refusal(convoke("up", "--engine", "aws", "--test-clock"))
    assert line == "Error: --test-clock requires --engine embedded"


def test_sam_local_option_is_refused_with_embedded_engine() -> None:
    line = one_line_of_refusal(convoke("up", "--sam-local"))
    assert line == "Error: --sam-local requires --engine aws"


def kept(data: Path, key: str) -> int:
    """Return the number of items whose partition key matches the SQL LIKE pattern `key`."""
    with sqlite3.connect(data) as connection:
        row = connection.execute("SELECT count(*) FROM items WHERE pk LIKE ?", (key,)).fetchone()
    return int(row[0])


def test_account_and_auth_token_are_stored_in_the_data_file(tmp_path: Path) -> None:
    data = str(tmp_path / "new folder" / "convoke.db")
    with up("--data", data) as instance:
        first = instance.ready
        assert instance.stop() == 0
    with up("--data", data) as instance:
        assert [instance.ready[key] for key in ("account_sid", "auth_token")] == [
            first[key] for key in ("account_sid", "auth_token")
        ]


def test_environment_variables_set_the_credentials(tmp_path: Path) -> None:
    environ = {"CONVOKE_ACCOUNT_SID": "AC" + "1" * 32, "CONVOKE_AUTH_TOKEN": "secret"}
    data = str(tmp_path / "convoke.db")
    for token in ("secret", "another"):
        with up("--data", data, environ={**environ, "CONVOKE_AUTH_TOKEN": token}) as instance:
            assert (instance.ready["account_sid"], instance.ready["auth_token"]) == ("AC" + "1" * 32, token)
            assert instance.client.conversations.v1.services.list()


def test_up_without_json_prints_credentials_and_a_code_snippet() -> None:
    command = (sys.executable, "-u", "-m", "convoke", "up", "--port", "0", "--data", ":memory:")
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        lines = []
        for line in process.stdout:
            lines.append(line)
            if line.startswith("Press Ctrl-C"):
                break
        process.terminate()
    text = "".join(lines)
    assert "Account SID  AC" in text
    assert "client.conversations.base_url" in text


def one_line_of_refusal(result: subprocess.CompletedProcess[str]) -> str:
    """Return the error message of a failed command. Check that the message has one line and the exit code is 1."""
    assert (result.returncode, result.stdout) == (1, "")
    (line,) = result.stderr.splitlines()
    return line


def test_busy_port_is_a_one_line_error() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        line = one_line_of_refusal(convoke("up", "--port", port, "--data", ":memory:"))
    holder = Path("/proc/self/comm").read_text().strip()
    found = re.fullmatch(
        rf"Error: cannot listen on 127.0.0.1:{port}: Address already in use by {re.escape(holder)}"
        rf" \(process {os.getpid()}\); choose another port with --port, such as --port (\d+)",
        line,
    )
    assert found, line
    assert int(found[1]) > int(port)


def test_unusable_data_file_is_a_one_line_error(tmp_path: Path) -> None:
    other = tmp_path / "other.db"
    with sqlite3.connect(other) as connection:
        connection.execute("CREATE TABLE notes (text TEXT)")
    connection.close()
    newer = tmp_path / "newer.db"
    with up("--data", str(newer)) as instance:
        assert instance.stop() == 0
    with sqlite3.connect(newer) as connection:
        connection.execute("PRAGMA user_version = 99")
    connection.close()
    file = tmp_path / "file"
    file.touch()
    for path in (str(other), str(newer), str(tmp_path), str(file / "below.db")):
        line = one_line_of_refusal(convoke("up", "--port", "0", "--data", path))
        assert line.startswith("Error: ")
        assert path.removesuffix("/below.db") in line


def test_invalid_account_sid_in_environment_is_a_one_line_error() -> None:
    result = convoke("up", "--port", "0", "--data", ":memory:", environ={"CONVOKE_ACCOUNT_SID": "me"})
    assert one_line_of_refusal(result).endswith("must be an Account SID: AC and 32 hexadecimal digits")


@pytest.mark.parametrize("url", ["convoke.example.com", "https://convoke.example.com/", "https://a.example.com?b"])
def test_invalid_public_url_is_a_one_line_error(url: str) -> None:
    result = convoke("up", "--port", "0", "--data", ":memory:", environ={"CONVOKE_PUBLIC_URL": url})
    assert one_line_of_refusal(result).startswith("Error: CONVOKE_PUBLIC_URL must be an http or https URL")


def test_account_create_list_and_rotate_token(tmp_path: Path) -> None:
    data = ("--data", str(tmp_path / "convoke.db"))
    created = json.loads(convoke("account", "create", *data).stdout)
    assert created["sid"].startswith("AC")
    assert created["default_chat_service_sid"].startswith("IS")
    assert created["default_messaging_service_sid"].startswith("MG")
    (listed,) = (json.loads(line) for line in convoke("account", "list", *data).stdout.splitlines())
    assert "auth_token" not in listed
    assert listed["sid"] == created["sid"]
    rotated = json.loads(convoke("account", "rotate-token", created["sid"], *data).stdout)
    assert rotated["auth_token"] != created["auth_token"]
    with up(*data) as instance:
        assert instance.ready["auth_token"] == rotated["auth_token"]
    unknown = convoke("account", "rotate-token", "AC" + "0" * 32, *data)
    assert one_line_of_refusal(unknown).startswith("Error: there is no account")


def test_running_instance_accepts_a_new_key_at_once_and_refuses_a_revoked_one_within_5_seconds(tmp_path: Path) -> None:
    data = ("--data", str(tmp_path / "convoke.db"))
    with up(*data) as instance:
        created = json.loads(convoke("key", "create", *data).stdout)
        client = Client(created["sid"], created["secret"], instance.ready["account_sid"])
        client.conversations.base_url = instance.ready["url"]
        (service,) = client.conversations.v1.services.list()
        assert convoke("key", "revoke", created["sid"], *data).returncode == 0

        def fetch_repeatedly() -> None:
            until = time.monotonic() + 5 + 1
            while time.monotonic() < until:
                service.fetch()
                time.sleep(0.05)

        with pytest.raises(TwilioRestException) as refused:
            fetch_repeatedly()
        assert (refused.value.status, refused.value.code) == (401, 20003)
        (kept,) = instance.client.conversations.v1.services.list()
        assert kept.sid == service.sid


def test_running_instance_delivers_an_event_replayed_on_the_command_line(tmp_path: Path) -> None:
    data = ("--data", str(tmp_path / "convoke.db"))
    with up(*data) as instance, receiver_in_http() as (url, requests):
        v1 = instance.client.conversations.v1
        v1.configuration.webhooks().update(post_webhook_url=url, filters=["onConversationAdded"])
        v1.conversations.create(x_twilio_webhook_enabled="true")
        (event,) = (json.loads(line) for line in convoke("events", "list", *data).stdout.splitlines())
        replayed = json.loads(convoke("events", "replay", event["id"], *data).stdout)
        until = time.monotonic() + TIMEOUT_SECONDS
        while len(requests) < 2:
            assert time.monotonic() < until
            time.sleep(0.05)
        shown = json.loads(convoke("events", "show", event["id"], *data).stdout)
        assert {attempt["replay_sid"] for attempt in shown["attempts"]} == {"", replayed["sid"]}


def test_demo_succeeds() -> None:
    result = convoke("demo")
    assert result.returncode == 0, result.stdout + result.stderr
    assert result.stdout.count("signature valid") == 2
    assert result.stdout.count("is initializing") == 2
    assert "the conversation is active again" in result.stdout
    assert "the next delivery is failed with error 21610" in result.stdout


def test_json_option_prints_one_line_only() -> None:
    with up("--data", ":memory:", command=UP) as instance:
        assert instance.stop() == 0
        assert instance.process.stdout is not None
        assert instance.process.stdout.read() == ""


def test_data_file_is_readable_by_its_owner_only(tmp_path: Path) -> None:
    data = tmp_path / "new folder" / "convoke.db"
    with up("--data", str(data)) as instance:
        assert instance.client.conversations.v1.services.list()
        files = list(data.parent.iterdir())
        modes = {file.name: file.stat().st_mode & 0o777 for file in files if file.suffix != ".lock"}
        assert set(modes) >= {"convoke.db", "convoke.db-wal"}
        assert set(modes.values()) == {0o600}
        assert data.parent.stat().st_mode & 0o777 == 0o700


def test_second_instance_on_the_same_data_is_a_one_line_error_but_accounts_can_be_created(tmp_path: Path) -> None:
    data = str(tmp_path / "convoke.db")
    with up("--data", data):
        line = one_line_of_refusal(convoke("up", "--port", "0", "--data", data))
        assert line == f"Error: another `convoke up` is running on {data}"
        assert json.loads(convoke("account", "create", "--data", data).stdout)["sid"].startswith("AC")


def test_unknown_host_is_a_one_line_error() -> None:
    line = one_line_of_refusal(convoke("up", "--host", "nowhere.invalid", "--data", ":memory:"))
    assert line.startswith("Error: cannot listen on nowhere.invalid:8000: ")


def test_read_only_commands_do_not_create_a_data_file(tmp_path: Path) -> None:
    missing = tmp_path / "typo.db"
    line = one_line_of_refusal(convoke("account", "list", "--data", str(missing)))
    assert line == f"Error: there is no data file {missing}"
    assert not missing.exists()


def test_data_path_is_printed_absolute(tmp_path: Path) -> None:
    with up("--data", "~/convoke.db", environ={"HOME": str(tmp_path)}) as instance:
        assert instance.ready["data"] == str(tmp_path / "convoke.db")


def test_up_prints_a_line_per_request_and_the_command_for_a_delivery_that_is_given_up(tmp_path: Path) -> None:
    data = str(tmp_path / "convoke.db")
    command = (sys.executable, "-m", "convoke", "up", "--port", "0", "--log-format", "json", "--data", data)
    with up(command=command) as instance:
        v1 = instance.client.conversations.v1
        v1.configuration.webhooks().update(post_webhook_url="http://127.0.0.1:9/#rc=0", filters=["onConversationAdded"])
        sid = v1.conversations.create(friendly_name="visit", x_twilio_webhook_enabled="true").sid
        process = instance.process
        assert process.stdout is not None
        assert process.stderr is not None
        lines = [json.loads(process.stdout.readline()) for _ in range(3)]
        error = json.loads(process.stderr.readline())
        assert instance.stop() == 0
        assert (process.stdout.read(), process.stderr.read()) == ("", "")
    assert [line.get("route") for line in lines] == ["/v1/Configuration/Webhooks", "/v1/Conversations", None]
    assert lines[2]["conversation"] == sid
    assert error["message"] == "a webhook delivery was given up: no connection (ConnectionRefusedError)"
    assert (error["event_type"], error["receiver"]) == ("onConversationAdded", "http://127.0.0.1:9/")
    shown = convoke(*error["inspect"].split()[1:])
    assert json.loads(shown.stdout)["conversation_sid"] == sid


def test_quiet_up_prints_no_requests() -> None:
    command = (sys.executable, "-m", "convoke", "up", "--port", "0", "--log-format", "json", "--data", ":memory:")
    with up("--quiet", command=command) as instance:
        assert instance.client.conversations.v1.services.list()
        assert instance.stop() == 0
        assert instance.process.stdout is not None
        assert instance.process.stdout.read() == ""


def test_reset_over_http_empties_the_data_file_and_keeps_the_account(tmp_path: Path) -> None:
    data = ("--data", str(tmp_path / "convoke.db"), "--test-controls")
    with up(*data) as instance:
        client, url = instance.client, instance.ready["url"]
        client.conversations.v1.conversations.create(x_twilio_webhook_enabled="true")
        assert client.request("POST", f"{url}/convoke/v1/Accounts", auth=client.auth).status_code == 201
        assert client.request("POST", f"{url}/convoke/v1/Reset", auth=client.auth).status_code == 204
        assert client.conversations.v1.conversations.list() == []
        moved = client.request("POST", f"{url}/convoke/v1/Clock", data={"Advance": "P1D"}, auth=client.auth)
        assert moved.status_code == 200
        assert instance.stop() == 0
        first = instance.ready
    with up(*data) as instance:
        assert (instance.ready["account_sid"], instance.ready["auth_token"]) == (
            first["account_sid"],
            first["auth_token"],
        )
        assert len(convoke("account", "list", *data[:2]).stdout.splitlines()) == 1
        assert convoke("events", "list", *data[:2]).stdout == ""


@contextmanager
def listening(*arguments: str) -> Iterator[subprocess.Popen[str]]:
    """Run `convoke listen` until the block ends. The block begins after the command's first line."""
    command = [sys.executable, "-u", "-m", "convoke", "listen", *arguments]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        try:
            assert process.stderr is not None
            assert process.stderr.readline().startswith("Listening to the events of AC")
            yield process
        finally:
            process.kill()


def test_listen_prints_new_events_and_forwards_them_signed_for_the_url(tmp_path: Path) -> None:
    data = ("--data", str(tmp_path / "convoke.db"))
    with up(*data) as instance, receiver() as (url, received):
        create = instance.client.conversations.v1.conversations.create
        create(x_twilio_webhook_enabled="true")
        with listening(*data, "--forward-to", f"{url}?a=b") as process:
            time.sleep(1)
            sent = create(x_twilio_webhook_enabled="true").sid
            assert process.stdout is not None
            first = json.loads(process.stdout.readline())
            quiet = create().sid
            second = json.loads(process.stdout.readline())
            process.send_signal(signal.SIGINT)
            assert process.wait(TIMEOUT_SECONDS) == 0
        parameters, signature = received.get(timeout=TIMEOUT_SECONDS)
        validator = RequestValidator(instance.ready["auth_token"])
        assert validator.validate(f"{url}?a=b", parameters, signature)
        assert (parameters["EventType"], parameters["ConversationSid"]) == ("onConversationAdded", sent)
        assert received.empty()
        assert (first["event"], first["conversation"], first["forwarded"]) == ("onConversationAdded", sent, "204")
        assert (second["conversation"], second["forwarded"]) == (quiet, "not sent to webhooks")
        configured = instance.client.conversations.v1.configuration.webhooks().fetch()
        assert configured.post_webhook_url is None


def test_listen_refuses_a_url_that_cannot_be_called(tmp_path: Path) -> None:
    data = ("--data", str(tmp_path / "convoke.db"))
    assert convoke("account", "create", *data).returncode == 0
    result = convoke("listen", "--forward-to", "localhost:3000", *data)
    assert result.returncode == 2
    assert "Invalid value for --forward-to: must be" in result.stderr


def test_account_sid_option_creates_the_account_with_the_token_of_the_environment(tmp_path: Path) -> None:
    data, sid = ("--data", str(tmp_path / "convoke.db")), "AC" + "2" * 32
    with up(*data, "--account-sid", sid, environ={"CONVOKE_AUTH_TOKEN": "secret"}) as instance:
        assert (instance.ready["account_sid"], instance.ready["auth_token"]) == (sid, "secret")


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_shell_completion_lists_commands_without_importing_them(shell: str) -> None:
    words = {"COMP_WORDS": "convoke l", "COMP_CWORD": "l" if shell == "fish" else "1"}
    program = str(Path(sys.executable).with_name("convoke"))

    def completed(environ: dict[str, str]) -> str:
        result = subprocess.run(program, env={**os.environ, **environ}, capture_output=True, text=True, timeout=60)
        assert (result.returncode, result.stderr) == (0, "")
        return result.stdout

    assert "listen" in completed({**words, "_CONVOKE_COMPLETE": f"{shell}_complete"})
    assert completed({"_CONVOKE_COMPLETE": f"{shell}_source"})
