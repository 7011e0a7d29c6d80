"""Failures of the data file cause at most one log line each minute (embedded/failures.py)."""

from __future__ import annotations

import pytest

from convoke.domain.errors import UnavailableError
from convoke.embedded.failures import LOG_INTERVAL_SECONDS, StorageFailures, is_reported

DISK_FULL = OSError("disk full")


def test_failures_of_one_minute_are_one_log_line(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    reported, now = StorageFailures(), [100.0]
    monkeypatch.setattr("convoke.embedded.failures.time.monotonic", lambda: now[0])
    reported.unavailable(DISK_FULL)
    reported.report("a checkpoint failed", DISK_FULL)
    now[0] += LOG_INTERVAL_SECONDS - 1
    reported.unavailable(DISK_FULL)
    assert caplog.messages == ["the data file cannot be used: disk full"]
    now[0] += 1
    reported.report("a checkpoint failed", DISK_FULL)
    assert caplog.messages[1:] == ["a checkpoint failed: disk full"]


def test_error_for_the_caller_is_recognized_before_it_is_raised() -> None:
    error = StorageFailures().unavailable(DISK_FULL)
    assert is_reported(error)
    assert error.__cause__ is DISK_FULL
    assert not is_reported(UnavailableError())
    assert not is_reported(DISK_FULL)
    assert not is_reported(None)
