"""Invoke every sample event in events/ with `sam local invoke`, in containers of Lambda's image.

`make sam-local` runs this program. The program needs a container engine with Docker's API: Docker, or podman with
`podman system service`. The functions call MiniStack instead of AWS. `make e2e-lambda` invokes the same samples without
containers.
"""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from http.client import HTTPConnection, HTTPException
from typing import Any

from convoke.cli.ministack import LOOPBACK, Stack, deployed
from convoke.cli.sam_local import ENVIRONMENT, FOLDER, command, write_events, write_files
from tests.support.lambda_runtime import logical_id
from tests.support.template import ROOT

BATCH_ITEM_FAILURES = {"events/participant_adder/batch.json": 1, "events/webhook_delivery/delivery.json": 1}
"""Maps a sample to its expected number of failed messages. In other samples, no message may fail.

In the first sample, one message cannot be parsed. In the second sample, the delivery's receiver is not running.
"""

DEFAULT_ENGINE = "unix:///var/run/docker.sock"


def bridge_gateway() -> str:
    """Return the address of this machine on the default container network.

    The variable DOCKER_HOST selects the container engine, as it does for `sam`. Raises OSError if no engine answers.
    """
    scheme, _, address = os.environ.get("DOCKER_HOST", DEFAULT_ENGINE).partition("://")
    with closing(HTTPConnection(address if scheme == "tcp" else "localhost", timeout=10)) as connection:
        if scheme != "tcp":
            connection.sock = socket.socket(socket.AF_UNIX)
            connection.sock.connect(address)
        connection.request("GET", "/networks/bridge")
        network = json.load(connection.getresponse())
    gateway: str = network["IPAM"]["Config"][0]["Gateway"]
    return gateway


def host() -> str:
    """Return an address of this machine that containers can reach.

    Raises OSError if no container engine is running.
    """
    gateway = bridge_gateway()
    if sys.platform != "linux":
        # Docker Desktop forwards connections from containers to the loopback interface.
        return LOOPBACK
    with socket.socket() as probe:
        try:
            probe.bind((gateway, 0))
        except OSError:
            return primary_address()
    return gateway


def primary_address() -> str:
    """Return the address that this machine uses for connections to other machines. No packet is sent."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.connect(("198.51.100.1", 9))
        address: str = probe.getsockname()[0]
    return address


def hold_conversations(stack: Stack) -> None:
    """Change the API function so that new conversations stay `initializing` for ten hours.

    The finalizer's samples need a conversation in this state. The changed API function sends its queue messages to a
    queue that no function reads. The sweeper processes the conversation only after the first pause, which is then ten
    hours long.
    """
    variables = json.loads((FOLDER / ENVIRONMENT).read_text())
    variables["ApiFunction"] |= {
        "CONVOKE_PARTICIPANT_QUEUE_URL": stack.outputs["ParticipantDeadLetterQueueUrl"],
        "CONVOKE_PROVISIONING_FIRST_PAUSE": "PT600M",
        "CONVOKE_PROVISIONING_LONGEST_PAUSE": "PT600M",
    }
    (FOLDER / ENVIRONMENT).write_text(json.dumps(variables))


def failures(stack: Stack) -> Iterator[str]:
    """Invoke every sample and print its result. Yield the names of the failed samples.

    The samples of the API function run first. The samples of the finalizer use the conversation that the last sample of
    the API function creates.
    """
    for event in sorted(FOLDER.glob("events/*/*.json")):
        name = event.relative_to(FOLDER)
        invoked = subprocess.run(
            command(logical_id(event.parent.name), event), cwd=ROOT, capture_output=True, text=True, check=False
        )
        print(f"{name}: {invoked.stdout.strip()}", flush=True)
        if invoked.returncode or not is_expected(str(name), json.loads(invoked.stdout)):
            print(invoked.stderr, file=sys.stderr)
            yield str(name)
        elif event.parent.name == "api":
            write_events(stack, FOLDER, json.loads(json.loads(invoked.stdout)["body"])["sid"])


def is_expected(name: str, result: Any) -> bool:
    """Return whether a result has no exception, no HTTP error, and the expected number of batch item failures.

    A result that is not a JSON object is always expected.
    """
    if not isinstance(result, dict):
        return True
    failed = len(result.get("batchItemFailures", []))
    return (
        "errorType" not in result and result.get("statusCode", 200) < 400 and failed == BATCH_ITEM_FAILURES.get(name, 0)
    )


def main() -> None:
    try:
        address = host()
    except (OSError, HTTPException, LookupError, ValueError):
        sys.exit("`make sam-local` needs Docker or podman, but none is running. `make e2e-lambda` needs no containers.")
    print(f"MiniStack listens on {address} until the last sample has run.", flush=True)
    with deployed(host=address) as stack:
        write_files(stack)
        hold_conversations(stack)
        failed = [*failures(stack)]
    if failed:
        sys.exit(f"failed: {', '.join(failed)}")


if __name__ == "__main__":
    main()
