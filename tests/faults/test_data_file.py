"""Convoke reports failures of the data file and its folder. Commands check the file and back it up.

tests/api/test_failed_commits.py contains the tests of a full disk.
"""

from __future__ import annotations

import json
import logging
import os
import shutil
import signal
import sqlite3
import stat
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from twilio.base.exceptions import TwilioRestException

from convoke.cli.main import main
from convoke.cli.up import up as up_command
from convoke.embedded.data_format import DATA_FORMAT, Synchronous
from convoke.embedded.queue import DurableQueue
from convoke.embedded.sqlite import SqliteTable
from tests.contract.test_data_format import no_database, unprivileged
from tests.support.instances import held_instance
from tests.support.manual_clock import ManualClock
from tests.support.processes import TIMEOUT_SECONDS, Up, up


def run(*arguments: str) -> Result:
    return CliRunner().invoke(main, arguments)


def process_settings() -> tuple[float, dict[str, int]]:
    """Return the process settings that `convoke up` changes if it starts. Changed settings would affect later tests."""
    loggers = [name for name in [*logging.root.manager.loggerDict] if name.startswith("convoke.")]
    return sys.getswitchinterval(), {name: logging.getLogger(name).level for name in loggers}


def start(data: Path) -> Result:
    """Run `convoke up` in this process.

    The test must make the command fail. A successful command would not end.
    """
    before = process_settings()
    result = CliRunner().invoke(up_command, ["--port", "0", "--data", str(data)])
    assert process_settings() == before
    return result


def one_line(result: Result) -> str:
    """Return the error message of a failed command. Check that the message has one line and the exit code is 1."""
    assert (type(result.exception), result.exit_code) == (SystemExit, 1), result.exception
    (line,) = result.output.splitlines()
    return line


def create_conversations(instance: Up, count: int = 1) -> list[str]:
    return [instance.client.conversations.v1.conversations.create().sid for _ in range(count)]


def sids_in(path: Path) -> set[str]:
    with closing(sqlite3.connect(path)) as connection:
        rows = connection.execute("SELECT body FROM items WHERE sk = 'conversation'").fetchall()
    return {json.loads(body)["sid"] for (body,) in rows}


# The data file is missing


def remove_folder(data: Path) -> None:
    shutil.rmtree(data.parent)


def remove_file(data: Path) -> None:
    data.unlink()


def replace_file(data: Path) -> None:
    data.rename(f"{data}.away")
    shutil.copy(f"{data}.away", data)


GONE = pytest.mark.parametrize("remove", [remove_folder, remove_file, replace_file])


@GONE
def test_instance_whose_data_file_is_gone_stores_nothing_and_stops_with_an_error(
    tmp_path: Path, remove: Callable[[Path], None]
) -> None:
    data = tmp_path / "folder" / "convoke.db"
    with up("--data", str(data)) as instance:
        create_conversations(instance)
        remove(data)
        # If the process stops before the request arrives, the client cannot connect.
        with pytest.raises((TwilioRestException, OSError)) as refused:
            create_conversations(instance)
        assert getattr(refused.value, "status", 503) == 503
        assert instance.process.wait(TIMEOUT_SECONDS) == 1
        assert instance.process.stderr is not None
        lines = instance.process.stderr.read().splitlines()
    assert lines[-1].startswith(f"Error: {data} was removed or replaced while Convoke was running.")
    assert len([line for line in lines if "was removed or replaced" in line]) == 2, "one log line and the error"
    assert "Traceback" not in "".join(lines)


def test_instance_without_requests_notices_that_its_data_file_is_gone(tmp_path: Path) -> None:
    data = tmp_path / "folder" / "convoke.db"
    with up("--data", str(data)) as instance:
        remove_folder(data)
        assert instance.process.wait(TIMEOUT_SECONDS) == 1


@GONE
def test_unit_is_dropped_if_the_data_file_is_gone(tmp_path: Path, remove: Callable[[Path], None]) -> None:
    data = tmp_path / "folder" / "convoke.db"
    data.parent.mkdir()
    with held_instance(str(data)) as instance:
        remove(data)
        assert instance.call("POST", "/v1/Conversations").body["code"] == 20503
        assert instance.engine.is_data_file_gone


# The data folder is read-only


@pytest.mark.parametrize("exists", [False, True])
def test_read_only_folder_is_a_one_line_error(exists: bool) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "convoke.db"
        if exists:
            SqliteTable(str(path)).close()
            path.chmod(0o666)
        Path(folder).chmod(0o555)
        with unprivileged():
            line = one_line(start(path))
    assert line.startswith(f"Error: {path} cannot be opened")
    assert line.endswith("check that its folder exists and that you may write to the file.")


# One instance per file


def test_symbolic_links_to_one_file_share_one_lock(tmp_path: Path) -> None:
    data, link = tmp_path / "convoke.db", tmp_path / "link.db"
    link.symlink_to(data)
    with up("--data", str(data)) as instance:
        line = one_line(start(link))
        assert line == f"Error: another `convoke up` is running on {link}"
        assert instance.stop() == 0
    folder = tmp_path / "folder"
    folder.symlink_to(tmp_path)
    with up("--data", str(folder / "link.db")):
        line = one_line(start(data))
        assert line == f"Error: another `convoke up` is running on {data}"


def test_only_the_owner_may_use_the_lock_file(tmp_path: Path) -> None:
    data, lock = tmp_path / "convoke.db", tmp_path / "convoke.db.lock"
    lock.touch(0o644)
    with up("--data", str(data)) as instance:
        assert stat.S_IMODE(lock.stat().st_mode) == 0o600
        assert instance.stop() == 0


# Check, backup and restore


def test_check_finds_no_problem_while_an_instance_writes(tmp_path: Path) -> None:
    data = tmp_path / "convoke.db"
    with up("--data", str(data)) as instance:
        create_conversations(instance)
        result = run("data", "check", "--data", str(data))
    assert (result.exit_code, json.loads(result.output)) == (0, {"data": str(data), "problems": []})


def test_check_finds_a_damaged_page_and_a_damaged_index(tmp_path: Path) -> None:
    data = tmp_path / "convoke.db"
    with held_instance(str(data)) as instance:
        for _ in range(50):
            instance.call("POST", "/v1/Conversations", {"Attributes": '{"a": "' + "x" * 4000 + '"}'})
    with closing(sqlite3.connect(data)) as connection:
        connection.execute("PRAGMA writable_schema = 1")
        statement = "UPDATE sqlite_master SET sql = replace(sql, 'IS NOT NULL', 'IS NULL') WHERE name = 'items_listed'"
        connection.execute(statement)
        connection.commit()
    damaged = run("data", "check", "--data", str(data))
    assert damaged.exit_code == 1
    assert json.loads(damaged.output)["problems"]
    with data.open("r+b") as file:
        file.seek(3 * 4096)
        file.write(b"\xff" * 40 * 4096)
    damaged = run("data", "check", "--data", str(data))
    assert damaged.exit_code == 1
    assert json.loads(damaged.output)["problems"]


def test_commands_refuse_a_file_that_is_not_a_data_file(tmp_path: Path) -> None:
    other = tmp_path / "diary"
    no_database(other)
    newer = tmp_path / "newer.db"
    SqliteTable(str(newer)).close()
    with closing(sqlite3.connect(newer)) as connection:
        connection.execute(f"PRAGMA user_version = {DATA_FORMAT + 1}")
    for command in (["check"], ["backup", str(tmp_path / "backup.db")]):
        assert "is not a data file" in one_line(run("data", *command, "--data", str(other)))
        assert "another version" in one_line(run("data", *command, "--data", str(newer)))
        assert "there is no data file" in one_line(run("data", *command, "--data", str(tmp_path / "typo")))
        assert ":memory: is not a data file" in one_line(run("data", *command, "--data", ":memory:"))
    assert sorted(os.listdir(tmp_path)) == ["diary", "newer.db"]


def test_backup_of_a_running_instance_can_be_restored(tmp_path: Path) -> None:
    data, backup = tmp_path / "convoke.db", tmp_path / "backup.db"
    with up("--data", str(data)) as instance:
        before = create_conversations(instance, 20)
        stop, later = threading.Event(), list[str]()

        def write() -> None:
            while not stop.is_set():
                later.extend(create_conversations(instance))

        writer = threading.Thread(target=write)
        writer.start()
        result = run("data", "backup", str(backup), "--data", str(data))
        stop.set()
        writer.join()
        assert (result.exit_code, json.loads(result.output)["backup"]) == (0, str(backup))
        assert later, "the instance served requests meanwhile"
        assert instance.stop(signal.SIGKILL) != 0
    assert stat.S_IMODE(backup.stat().st_mode) == 0o600
    assert json.loads(run("data", "check", "--data", str(backup)).output)["problems"] == []
    assert set(before) <= sids_in(backup) <= {*before, *later}
    # Restore the backup as docs/operate.md describes.
    shutil.copy(backup, data)
    for suffix in ("-wal", "-shm"):
        Path(f"{data}{suffix}").unlink(missing_ok=True)
    with up("--data", str(data)) as instance:
        assert {each.sid for each in instance.client.conversations.v1.conversations.list()} == sids_in(backup)


def test_backup_does_not_overwrite_a_file(tmp_path: Path) -> None:
    data = tmp_path / "convoke.db"
    SqliteTable(str(data)).close()
    existing = tmp_path / "backup.db"
    existing.write_text("precious")
    line = one_line(run("data", "backup", str(existing), "--data", str(data)))
    assert line == f"Error: {existing} exists already: name another path."
    assert existing.read_text() == "precious"
    line = one_line(run("data", "backup", str(tmp_path / "missing" / "backup.db"), "--data", str(data)))
    assert line.startswith(f"Error: {data} cannot be backed up to ")


# Power failures


@pytest.mark.parametrize(("setting", "value"), [(None, 1), ("normal", 1), ("FULL", 2)])
def test_setting_synchronous_reaches_sqlite(tmp_path: Path, setting: str | None, value: int) -> None:
    program = (
        "import os, sys; from convoke.cli.data_file import open_engine\n"
        "with open_engine(sys.argv[1]) as engine:\n"
        "    print(engine.table.rows('PRAGMA synchronous')[0][0])"
    )
    environ = {**os.environ, **({"CONVOKE_SYNCHRONOUS": setting} if setting else {})}
    command = [sys.executable, "-c", program, str(tmp_path / "convoke.db")]
    assert int(subprocess.run(command, env=environ, capture_output=True, check=True).stdout) == value


def test_unknown_synchronous_is_a_one_line_error(tmp_path: Path) -> None:
    arguments = ["account", "create", "--data", str(tmp_path / "convoke.db")]
    result = CliRunner(env={"CONVOKE_SYNCHRONOUS": "off"}).invoke(main, arguments)
    assert one_line(result) == f"Error: CONVOKE_SYNCHRONOUS must be {' or '.join(Synchronous)}"


# Reads of the delivery queue


def test_is_empty_needs_no_write_lock(tmp_path: Path) -> None:
    path = str(tmp_path / "convoke.db")
    with closing(SqliteTable(path, lock_timeout=0)) as table, closing(sqlite3.connect(path)) as other:
        queue = DurableQueue(table, "delivery", ManualClock().now)
        other.execute("BEGIN IMMEDIATE")
        assert queue.is_empty()
        statements: list[str] = []
        table._connection.set_trace_callback(statements.append)
        assert queue.is_empty()
        assert [statement.partition(" ")[0] for statement in statements] == ["SELECT"]
