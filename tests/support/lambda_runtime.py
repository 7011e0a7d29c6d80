"""Run functions under `awslambdaric`, AWS's runtime client, on a Python 3.13 that imports only the built layer."""

from __future__ import annotations

import base64
import json
import os
import platform
import subprocess
import threading
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from queue import Queue
from typing import Any

from convoke.cli.ministack import RUNTIME_CLIENT, Stack, free_port, uv
from tests.support.processes import wait_for
from tests.support.template import ROOT, functions, resources, template

BUILD = ROOT / ".aws-sam/build"
LAYER = BUILD / "ConvokeLayer/python"
EVENTS = ROOT / "events"

INVOCATION = {
    "Content-Type": "application/json",
    "Lambda-Runtime-Aws-Request-Id": "00000000-0000-0000-0000-000000000000",
    "Lambda-Runtime-Deadline-Ms": "4102444800000",
    "Lambda-Runtime-Invoked-Function-Arn": "arn:aws:lambda:us-east-1:123456789012:function:function",
    "Lambda-Runtime-Trace-Id": "Root=1-00000000-000000000000000000000000",
}
"""The headers of an invocation. The runtime client is written in C and crashes if a header is missing."""

TIMEOUT_SECONDS = 60.0
"""How many seconds to wait for the runtime. Other tests can make the machine slow."""


@cache
def python() -> Path:
    """Return the path of a Python 3.13 executable."""
    found = subprocess.run([ROOT / ".ci/python313"], capture_output=True, text=True, check=True, cwd=ROOT)
    return Path(found.stdout.strip()) / "python3.13"


def install(folder: Path, *requirements: str) -> Path:
    """Install packages into a folder without bytecode, as `sam build` does. The options override the settings of uv."""
    options = ["--quiet", "--no-compile-bytecode", "--link-mode", "copy", "--target", str(folder)]
    subprocess.run([uv(), "pip", "install", "--python", str(python()), *options, *requirements], check=True, cwd=ROOT)
    return folder


def byte_compile(folder: Path) -> None:
    command = [str(python()), "-m", "compileall", "-q", "--invalidation-mode", "unchecked-hash", str(folder)]
    subprocess.run(command, check=True)


def install_client(folder: Path) -> Path:
    """Install the runtime client with bytecode, as in Lambda's image."""
    byte_compile(install(folder, RUNTIME_CLIENT))
    return folder


def environment(*path: Path) -> dict[str, str]:
    """Return environment variables for a function, with the template's defaults and a fixed hash seed.

    `path` becomes PYTHONPATH.
    """
    variables = [settings["Environment"]["Variables"] for settings in functions().values()]
    return {
        **{name: _value_of(value) for each in variables for name, value in each.items()},
        "AWS_REGION": "us-east-1",
        "AWS_DEFAULT_REGION": "us-east-1",
        "AWS_ACCESS_KEY_ID": "test",
        "AWS_SECRET_ACCESS_KEY": "test",
        "PATH": os.environ["PATH"],
        "PYTHONDONTWRITEBYTECODE": "1",
        "PYTHONHASHSEED": "0",
        "PYTHONPATH": os.pathsep.join(map(str, path)),
    }


def _value_of(variable: Any) -> str:
    """Return the default of a parameter, or `-` for a resource, because no resource is called here."""
    parameter = template()["Parameters"].get(variable.get("Ref")) if isinstance(variable, dict) else None
    return str(parameter["Default"]) if parameter else "-"


@contextmanager
def runtime_api(invocations: int = 0) -> Iterator[tuple[str, Queue[str]]]:
    """Run a fake Lambda Runtime API that hands out `invocations` empty events.

    Yields the address of the API, and a queue of the requests that the API received. Each entry of
    the queue is the path of a request. For a POST, the entry is the path, a space and the body.
    """
    asked: Queue[str] = Queue()
    over = threading.Event()
    left = iter(range(invocations))

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked.put(self.path)
            if self.path.endswith("/invocation/next") and next(left, None) is None:
                over.wait()
            self._answer(200, b"{}")

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"])).decode()
            asked.put(f"{self.path} {body}")
            self._answer(202, b"")

        def _answer(self, status: int, body: bytes) -> None:
            self.send_response(status)
            for name, value in {**INVOCATION, "Content-Length": str(len(body))}.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            """Print no access log. The tests read the requests from the queue `asked` instead."""

        def handle(self) -> None:
            # Writing a response can fail, because the test kills the runtime client while a request is waiting.
            try:
                super().handle()
            except (BrokenPipeError, ConnectionResetError):
                return

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        try:
            yield f"127.0.0.1:{server.server_port}", asked
        finally:
            over.set()
            server.shutdown()


@contextmanager
def started(function: Path, environ: Mapping[str, str], address: str, *under: str) -> Iterator[subprocess.Popen[bytes]]:
    """Run the function of a folder under the runtime client. `under` is a command prefix, such as a profiler."""
    command = [*under, str(python()), "-m", "awslambdaric", "app.lambda_handler"]
    variables = {**environ, "AWS_LAMBDA_RUNTIME_API": address}
    with subprocess.Popen(command, cwd=function, env=variables, stderr=subprocess.PIPE) as process:
        try:
            yield process
        finally:
            process.kill()


class NoEmulatorError(Exception):
    """The SAM CLI is not installed, or has no emulator for the architecture of this processor."""


def emulator() -> Path:
    """Return the path of AWS's Runtime Interface Emulator, a part of the SAM CLI. Raises NoEmulatorError."""
    machine = {"aarch64": "arm64"}.get(platform.machine(), platform.machine())
    found = [
        *(ROOT / ".tools/environments/aws-sam-cli").glob(f"lib/*/site-packages/samcli/local/rapid/*-rie-{machine}")
    ]
    if not found:
        raise NoEmulatorError(f"the SAM CLI in .tools has no Runtime Interface Emulator for {machine}: make build")
    return found[0]


@dataclass(frozen=True, slots=True)
class Emulated:
    """A built function in the emulator. The emulator processes one invocation at a time."""

    url: str

    def invoke(self, event: Mapping[str, Any]) -> Any:
        """Return the function's answer. If the invocation fails, the answer is an object with `errorType`."""
        request = urllib.request.Request(self.url, json.dumps(event).encode())
        with urllib.request.urlopen(request, timeout=TIMEOUT_SECONDS) as response:
            return json.load(response)


@dataclass(frozen=True, slots=True)
class DeployedFunction:
    logical_id: str
    variables: Mapping[str, str]


def function_of(folder: str, stack: Stack) -> DeployedFunction:
    """Return the deployed function of a folder, with the environment variables that the stack gives the function."""
    (logical_id,) = (
        name
        for name, properties in resources("AWS::Serverless::Function").items()
        if properties["CodeUri"] == f"functions/{folder}"
    )
    described = stack.client("lambda").get_function_configuration(FunctionName=stack.resource(logical_id))
    return DeployedFunction(logical_id, described["Environment"]["Variables"])


def filled_in(sample: Path, stack: Stack, conversation_sid: str = "-") -> dict[str, Any]:
    """Return a sample event of events/ with the SIDs and credentials of a stack filled in."""
    credentials = base64.b64encode(f"{stack.account_sid}:{stack.auth_token}".encode()).decode()
    filling = {
        "{ACCOUNT_SID}": stack.account_sid,
        "{CONVERSATION_SID}": conversation_sid,
        "<base64 of AccountSid:AuthToken>": credentials,
    }
    text = sample.read_text()
    for place, value in filling.items():
        text = text.replace(place, value)
    event: dict[str, Any] = json.loads(text)
    return event


@contextmanager
def emulated(folder: str, stack: Stack, client: Path) -> Iterator[Emulated]:
    """Run a function that `make build` built, with the environment variables that the stack gives the function."""
    function = function_of(folder, stack)
    environ = {
        **environment(LAYER, client),
        **function.variables,
        "AWS_ENDPOINT_URL": stack.endpoint_url,
        "AWS_LAMBDA_FUNCTION_TIMEOUT": str(functions()[folder]["Timeout"]),
    }
    port = free_port()
    address, api = (f"127.0.0.1:{each}" for each in (port, free_port()))
    listening = ["--runtime-interface-emulator-address", address, "--runtime-api-address", api, "--log-level", "error"]
    command = [str(emulator()), *listening, str(python()), "-m", "awslambdaric", "app.lambda_handler"]
    with subprocess.Popen(
        command, cwd=BUILD / function.logical_id, env=environ, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    ) as process:
        try:
            wait_for(port, TIMEOUT_SECONDS)
            yield Emulated(f"http://{address}/2015-03-31/functions/function/invocations")
        finally:
            process.terminate()
