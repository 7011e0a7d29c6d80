"""Write files for `sam local invoke`. The functions then run in containers and use a stack on MiniStack."""

from __future__ import annotations

import base64
import json
import urllib.request
from pathlib import Path
from urllib.parse import urlencode, urlsplit

from convoke.cli.ministack import LOOPBACK, REGION, ROOT, Stack

FOLDER = ROOT / ".aws-sam/local"
"""The folder for the files. git ignores this folder, and `sam build` does not delete it."""

ENVIRONMENT = "environment.json"

CONTAINER_HOST = "host.docker.internal"
"""The host name under which containers of Docker Desktop reach this machine."""


def write_files(stack: Stack, folder: Path = FOLDER) -> None:
    """Write the environment variables of all functions, and a sample event for each file in events/.

    Also create the conversation that the events belong to.
    """
    variables = {
        name: {**values, "AWS_ENDPOINT_URL": container_url(stack.endpoint_url)}
        for name, values in stack.function_variables().items()
    }
    folder.mkdir(parents=True, exist_ok=True)
    (folder / ENVIRONMENT).write_text(json.dumps(variables, indent=2))
    write_events(stack, folder, create_conversation(stack))


def write_events(stack: Stack, folder: Path, conversation_sid: str) -> None:
    """Write a copy of every sample event in events/. The copies contain the SIDs and credentials of the stack."""
    for sample in (ROOT / "events").glob("*/*.json"):
        event = folder / sample.relative_to(ROOT)
        event.parent.mkdir(parents=True, exist_ok=True)
        event.write_text(filled_in(sample, stack, conversation_sid))


def command(function: str, event: Path) -> list[str]:
    """Return the command that invokes a function with an event from FOLDER.

    The command must run in the root of the checkout.
    """
    files = ["--event", str(event.relative_to(ROOT)), "--env-vars", str(FOLDER.relative_to(ROOT) / ENVIRONMENT)]
    return [".tools/bin/sam", "local", "invoke", function, *files, "--region", REGION, "--skip-pull-image"]


def container_url(url: str) -> str:
    """Return the URL with which containers reach a URL of this machine.

    Docker Desktop forwards connections from CONTAINER_HOST to the loopback interface, but Docker on Linux does not. On
    Linux, `url` must therefore contain an address that containers can reach.
    """
    parts = urlsplit(url)
    return f"http://{CONTAINER_HOST}:{parts.port}" if parts.hostname in (LOOPBACK, "localhost") else url


def create_conversation(stack: Stack) -> str:
    """Create a conversation and return its SID."""
    form = urlencode({"Participant": '{"identity": "sam local"}'}).encode()
    headers = {"Authorization": f"Basic {_credentials(stack)}"}
    request = urllib.request.Request(f"{stack.url}/v1/ConversationWithParticipants", form, headers)  # noqa: S310 - http
    with urllib.request.urlopen(request) as response:  # noqa: S310 - http
        return str(json.load(response)["sid"])


def filled_in(sample: Path, stack: Stack, conversation_sid: str = "-") -> str:
    """Return the JSON of a sample event, with the stack's SIDs and credentials instead of the placeholders."""
    text = sample.read_text()
    for placeholder, value in {
        "{ACCOUNT_SID}": stack.account_sid,
        "{CONVERSATION_SID}": conversation_sid,
        "<base64 of AccountSid:AuthToken>": _credentials(stack),
    }.items():
        text = text.replace(placeholder, value)
    return text


def _credentials(stack: Stack) -> str:
    return base64.b64encode(f"{stack.account_sid}:{stack.auth_token}".encode()).decode()
