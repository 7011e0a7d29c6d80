"""Count the machine instructions of a process with callgrind, a tool of valgrind."""

from __future__ import annotations

import re
import shutil
import sys

COMMAND = ("valgrind", "--tool=callgrind", "--callgrind-out-file=/dev/null")
"""The start of a callgrind command. The command of the measured program must follow."""


def require() -> None:
    """Exit with a message if valgrind is not installed."""
    if shutil.which("valgrind") is None:
        sys.exit("valgrind is not installed: apt-get install valgrind")


def collected(errors: bytes) -> int | None:
    """Return the number of instructions in callgrind's standard error. Return None if there is no number."""
    counted = re.search(rb"Collected : (\d+)", errors)
    return int(counted[1]) if counted else None
