"""A process holds the exclusive lock of a file (cli/file_lock.py)."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from convoke.cli.file_lock import file_lock

TAKEN = """
import sys
from convoke.cli.file_lock import file_lock
try:
    with file_lock(sys.argv[1], waits=False):
        print("taken")
except BlockingIOError:
    print("refused")
"""


def taken_by_another_process(path: Path) -> str:
    command = [sys.executable, "-c", TAKEN, str(path)]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()


def test_only_one_process_holds_the_lock_until_the_block_ends(tmp_path: Path) -> None:
    path = tmp_path / "data.lock"
    with file_lock(str(path), waits=False):
        assert taken_by_another_process(path) == "refused"
    assert taken_by_another_process(path) == "taken"
    with file_lock(str(path), waits=True):
        assert taken_by_another_process(path) == "refused"


def test_only_the_owner_can_open_the_file(tmp_path: Path) -> None:
    new, old = tmp_path / "new.lock", tmp_path / "old.lock"
    old.touch(mode=0o666)
    for path in (new, old):
        with file_lock(str(path), waits=False):
            assert path.stat().st_mode & 0o777 == 0o600


def test_symbolic_link_is_refused(tmp_path: Path) -> None:
    (tmp_path / "link.lock").symlink_to(tmp_path / "target")
    with pytest.raises(OSError, match=r"link\.lock"), file_lock(str(tmp_path / "link.lock"), waits=False):
        pass
    assert not (tmp_path / "target").exists()
