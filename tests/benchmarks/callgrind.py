"""Count the machine instructions of a process with callgrind, a tool of valgrind."""

from __future__ import annotations

import re
import shutil
import sys

COMMAND = ("valgrind", "--tool=callgrind", "--callgrind-out-file=/dev/null")
"""The start of a command line that makes callgrind count a process."""


def require() -> None:
    """Exit with a message if valgrind is not installed."""
    if shutil.which("valgrind") is None:
        sys.exit("valgrind is not installed: apt-get install valgrind")


def collected(errors: bytes) -> int | None:
    """Return the count that callgrind printed to standard error, or None if callgrind printed no count."""
    counted = re.search(rb"Collected : (\d+)", errors)
    return int(counted[1]) if counted else None
