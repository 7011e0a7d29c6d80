"""Find the process that listens on a port, and a free port, for the message about a port that is in use."""

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
    """Return a process that listens on the TCP port. Return None if the operating system does not tell.

    A process of another user is usually not found.
    """
    proc = Path("/proc/net/tcp")
    return _find_in_proc(port) if proc.exists() else _find_with_lsof(port)


def next_free_port(host: str, port: int) -> int:
    """Return the first free port after `port`. Return 0, which stands for any free port, if there is none."""
    for each in range(port + 1, 65536):
        with suppress(OSError), socket.create_server((host, each)):
            return each
    return 0


def _find_in_proc(port: int) -> Listener | None:
    wanted = {f"socket:[{inode}]" for inode in _inodes(port)}
    for process in Path("/proc").glob("[0-9]*") if wanted else ():
        # A process can end at any moment, and the processes of other users cannot be read.
        with suppress(OSError):
            if any(str(link.readlink()) in wanted for link in (process / "fd").iterdir()):
                return Listener(int(process.name), (process / "comm").read_text().strip())
    return None


def _inodes(port: int) -> set[str]:
    """Return the inodes of the sockets that listen on the port."""
    found = set[str]()
    for table in ("/proc/net/tcp", "/proc/net/tcp6"):
        with suppress(OSError):
            for line in Path(table).read_text().splitlines()[1:]:
                fields = line.split()
                if fields[3] == LISTEN and int(fields[1].rpartition(":")[2], 16) == port:
                    found.add(fields[9])
    return found


def _find_with_lsof(port: int) -> Listener | None:
    """Ask `lsof`, which macOS has."""
    lsof = shutil.which("lsof")
    if lsof is None:
        return None
    command = [lsof, "-nP", f"-iTCP:{port}", "-sTCP:LISTEN", "-Fpc"]
    with suppress(OSError, subprocess.SubprocessError, KeyError, ValueError):
        result = subprocess.run(command, capture_output=True, text=True, check=True, timeout=LSOF_TIMEOUT_SECONDS)  # noqa: S603 - our own command
        # The first letter of each line names the field: the process id, or the name of the command.
        fields = {line[0]: line[1:] for line in reversed(result.stdout.splitlines()) if line}
        return Listener(int(fields["p"]), fields["c"])
    return None
