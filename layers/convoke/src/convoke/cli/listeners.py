"""Find the process that uses a port, and find a free port, for the error message about a busy port."""

from __future__ import annotations

import shutil
import socket
import subprocess
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

LISTEN = "0A"
"""The state of a listening socket in /proc/net/tcp. See https://docs.kernel.org/networking/proc_net_tcp.html."""

LSOF_TIMEOUT_SECONDS = 2.0


class Listener(NamedTuple):
    pid: int
    name: str
    """The name of the program, such as `python3`."""


def find_listener(port: int) -> Listener | None:
    """Return a process that listens on a TCP port. Return None if no process is found.

    Usually, processes of other users are not found, because the operating system hides them.
    """
    proc = Path("/proc/net/tcp")
    return _find_in_proc(port) if proc.exists() else _find_with_lsof(port)


def next_free_port(host: str, port: int) -> int:
    """Return the first free port after `port`. Return 0 if all these ports are busy.

    A server that listens on port 0 gets a free port from the operating system.
    """
    for each in range(port + 1, 65536):
        with suppress(OSError), socket.create_server((host, each)):
            return each
    return 0


def _find_in_proc(port: int) -> Listener | None:
    wanted = {f"socket:[{inode}]" for inode in _inodes(port)}
    for process in Path("/proc").glob("[0-9]*") if wanted else ():
        # A process can end at any moment, and processes of other users are not readable.
        with suppress(OSError):
            if any(str(link.readlink()) in wanted for link in (process / "fd").iterdir()):
                return Listener(int(process.name), (process / "comm").read_text().strip())
    return None


def _inodes(port: int) -> set[str]:
    """Return the inodes of all sockets that listen on a port."""
    found = set[str]()
    for table in ("/proc/net/tcp", "/proc/net/tcp6"):
        with suppress(OSError):
            for line in Path(table).read_text().splitlines()[1:]:
                fields = line.split()
                if fields[3] == LISTEN and int(fields[1].rpartition(":")[2], 16) == port:
                    found.add(fields[9])
    return found


def _find_with_lsof(port: int) -> Listener | None:
    """Run the program `lsof` to find a process that listens on the port. macOS has `lsof`, but has no /proc/net/tcp."""
    lsof = shutil.which("lsof")
    if lsof is None:
        return None
    command = [lsof, "-nP", f"-iTCP:{port}", "-sTCP:LISTEN", "-Fpc"]
    with suppress(OSError, subprocess.SubprocessError, KeyError, ValueError):
        result = subprocess.run(command, capture_output=True, text=True, check=True, timeout=LSOF_TIMEOUT_SECONDS)  # noqa: S603 - our own command
        # Each line is one field. The first character names the field: `p` is the process id, `c` the program's name.
        fields = {line[0]: line[1:] for line in reversed(result.stdout.splitlines()) if line}
        return Listener(int(fields["p"]), fields["c"])
    return None
