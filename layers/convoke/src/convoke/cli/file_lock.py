"""The exclusive lock of a file. The operating system releases the lock when the process ends."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def file_lock(path: str, *, waits: bool) -> Iterator[None]:
    """Hold the lock of a file during the block. If the file does not exist, create the file for its owner only.

    Raises BlockingIOError if another process holds the lock and `waits` is False. Raises another OSError if this
    process may not write the file or change its mode, or if the file is a symbolic link.
    """
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX if waits else fcntl.LOCK_EX | fcntl.LOCK_NB)
        # Change the mode of an existing file too. An earlier version of Convoke created the file for all users, and
        # every user who can open the file can take the lock.
        os.fchmod(descriptor, 0o600)
        yield
    finally:
        os.close(descriptor)
