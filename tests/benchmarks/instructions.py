"""Count the machine instructions of the embedded engine per conversation of ten chat members.

`uv run python -m tests.benchmarks.instructions [--python PATH] [--source DIR] [--json PATH]`. The program needs
valgrind.

The count begins with the POST and ends when the conversation is settled. The count covers everything between the
gateway event and SQLite, in one process and without sockets (`settled.py`).

Callgrind counts two runs that differ only in the number of conversations. The result is the difference of the counts,
divided by the difference of the numbers of conversations. Therefore the instructions of the process start are not part
of the result. Other load on the machine does not change the result: two results differ by less than 0.1 %.

To measure another checkout, name the Python of its environment: `--python /path/to/checkout/.venv/bin/python`.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from argparse import ArgumentParser
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

from tests.benchmarks import callgrind
from tests.support.examples import chat
from tests.support.template import ROOT

PROGRAM = Path(__file__).with_name("settled.py")

FEW, MANY = 50, 250
"""The numbers of conversations in the two runs. Both runs fill all caches, which takes about ten conversations."""

MEMBERS = 10

TIMEOUT_SECONDS = 600.0


def measure(python: Path, source: Path | None) -> dict[str, Any]:
    """Run the two counts with this Python executable. With `source`, import Convoke from the folder `source`."""
    create = json.loads((ROOT / "events/api/create_plain.json").read_text())
    create["body"] = urlencode({"FriendlyName": "Visit", "Participant": chat(MEMBERS)}, doseq=True)
    event = json.dumps(create).encode()
    environ = {"PATH": os.environ["PATH"], "PYTHONHASHSEED": "0"}
    if source:
        environ["PYTHONPATH"] = str(source.absolute())
    # This run compiles every module. Therefore the counted runs compile nothing.
    _run([str(python)], environ, event, 1)
    environ["PYTHONDONTWRITEBYTECODE"] = "1"
    with ThreadPoolExecutor() as pool:
        counted = partial(_counted, [*callgrind.COMMAND, str(python)], environ, event)
        few, many = pool.map(counted, (FEW, MANY))
    return {
        "conversations": [FEW, MANY],
        "instructions": [few, many],
        "instructions_per_conversation": round((many - few) / (MANY - FEW)),
    }


def _counted(command: Sequence[str], environ: dict[str, str], event: bytes, conversations: int) -> int:
    errors = _run(command, environ, event, conversations)
    if (count := callgrind.collected(errors)) is None:
        raise RuntimeError(f"callgrind counted nothing:\n{errors.decode()}")
    return count


def _run(command: Sequence[str], environ: dict[str, str], event: bytes, conversations: int) -> bytes:
    """Run the program. Return the text on its standard error."""
    ran = subprocess.run(
        # `-P` keeps the program's folder out of sys.path. A module in this folder could hide a library.
        [*command, "-P", str(PROGRAM), f"{conversations:04}"],
        env=environ,
        input=event,
        capture_output=True,
        timeout=TIMEOUT_SECONDS,
        check=False,
    )
    if ran.returncode:
        raise RuntimeError(f"{' '.join(command)} failed:\n{ran.stderr.decode()}")
    return ran.stderr


def main() -> None:
    arguments = ArgumentParser(description=__doc__)
    arguments.add_argument(
        "--python", type=Path, default=Path(sys.executable), metavar="PATH", help="the Python executable to run"
    )
    arguments.add_argument("--source", type=Path, metavar="DIR", help="import Convoke from this folder")
    arguments.add_argument("--json", type=Path, metavar="PATH", help="write the counts to this file, too")
    given = arguments.parse_args()
    callgrind.require()
    found = measure(given.python, given.source)
    each = found["instructions_per_conversation"]
    print(f"{each / 1e6:.3f} million instructions per conversation of {MEMBERS} chat members, from POST to settled")
    if given.json:
        given.json.write_text(json.dumps(found, indent=2) + "\n")


if __name__ == "__main__":
    main()
