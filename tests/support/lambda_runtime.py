"""Run functions with `awslambdaric`, the runtime client of AWS, on Python 3.13.

The functions import their packages from the built layer, not from the environment of the tests.
"""

from __future__ import annotations

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

from convoke.cli.ministack import LOCKED_TOOLS, Stack, free_port, uv
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
"""The headers with which the runtime API hands out an invocation.

The runtime client is written in C. A missing header crashes the client.
"""

TIMEOUT_SECONDS = 60.0
"""The maximum wait for the runtime. It is long, because other tests can make the machine slow."""


@cache
def python() -> Path:
    """Return the path of a Python 3.13 executable."""
    found = subprocess.run([ROOT / ".ci/python313"], capture_output=True, text=True, check=True, cwd=ROOT)
    return Path(found.stdout.strip()) / "python3.13"


def install(folder: Path, *requirements: str) -> Path:
    """Install packages into a folder, without bytecode, as `sam build` does. Return the folder.

    The command-line options in `options` override the developer's settings of uv.
    """
    options = ["--quiet", "--no-compile-bytecode", "--link-mode", "copy", "--target", str(folder)]
    subprocess.run([uv(), "pip", "install", "--python", str(python()), *options, *requirements], check=True, cwd=ROOT)
    return folder


def byte_compile(folder: Path) -> None:
    command = [str(python()), "-m", "compileall", "-q", "--invalidation-mode", "unchecked-hash", str(folder)]
    subprocess.run(command, check=True)


def install_client(folder: Path) -> Path:
    """Install the runtime client into a folder, with bytecode, as in Lambda's image. Return the folder."""
    byte_compile(install(folder, "--require-hashes", "--requirement", str(LOCKED_TOOLS / "runtime-client.txt")))
    return folder


def environment(*path: Path) -> dict[str, str]:
    """Return environment variables with which every function can start.

    For the functions' own variables, see `_value_of`. The hash seed is fixed. `path` becomes PYTHONPATH.
    """
    variables = [settings["Environment"]["Variables"] for settings in functions().values()]
    values = [(name, _value_of(value)) for each in variables for name, value in each.items()]
    return {
        # A variable can refer to a resource in one function and to a parameter in another function. Then use the value
        # of the parameter.
        **dict(sorted(values, key=lambda each: each[1] != "-")),
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
    """Return the value of an environment variable: its text, or the default value of the parameter in a `!Ref`.

    Return `-` for any other expression, such as a resource. The functions call no resource in these tests.
    """
    if isinstance(variable, str):
        return variable
    parameter = template()["Parameters"].get(variable.get("Ref")) if isinstance(variable, dict) else None
    return str(parameter["Default"]) if parameter else "-"


@contextmanager
def runtime_api(invocations: int = 0) -> Iterator[tuple[str, Queue[str]]]:
    """Run a fake Lambda Runtime API that hands out `invocations` empty events.

    After the last event, a request for the next event waits until the block ends.

    Yield the address of the API, and a queue of the received requests. A request is recorded as its path. For a POST
    request, a space and the body follow the path.
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
            """Suppress the access log."""

        def handle(self) -> None:
            # The test can kill the runtime client while a request waits. Then the server cannot write the response.
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
    """Run the function in the folder `function` with the runtime client.

    The command `under`, for example a profiler, runs the client.
    """
    command = [*under, str(python()), "-m", "awslambdaric", "app.lambda_handler"]
    variables = {**environ, "AWS_LAMBDA_RUNTIME_API": address}
    with subprocess.Popen(command, cwd=function, env=variables, stderr=subprocess.PIPE) as process:
        try:
            yield process
        finally:
            process.kill()


class NoEmulatorError(Exception):
    """No emulator of the SAM CLI fits this processor, or the SAM CLI is not installed."""


def emulator() -> Path:
    """Return the path of the Runtime Interface Emulator, which is part of the SAM CLI.

    Raises NoEmulatorError.
    """
    machine = {"aarch64": "arm64"}.get(platform.machine(), platform.machine())
    found = [
        *(ROOT / ".tools/environments/aws-sam-cli").glob(f"lib/*/site-packages/samcli/local/rapid/*-rie-{machine}")
    ]
    if not found:
        raise NoEmulatorError(f"the SAM CLI in .tools has no Runtime Interface Emulator for {machine}: make build")
    return found[0]


@dataclass(frozen=True, slots=True)
class Emulated:
    """A built function that runs in the emulator, one invocation at a time."""

    url: str

    def invoke(self, event: Mapping[str, Any]) -> Any:
        """Invoke the function and return its result.

        The result of a failed invocation has the key `errorType`.
        """
        request = urllib.request.Request(self.url, json.dumps(event).encode())
        with urllib.request.urlopen(request, timeout=TIMEOUT_SECONDS) as response:
            return json.load(response)


def logical_id(folder: str) -> str:
    """Return the logical ID of the function with this code folder."""
    (found,) = (
        name
        for name, properties in resources("AWS::Serverless::Function").items()
        if properties["CodeUri"] == f"functions/{folder}"
    )
    return found


@contextmanager
def emulated(folder: str, stack: Stack, client: Path) -> Iterator[Emulated]:
    """Run a function in the emulator until the block ends. `make build` must have built the function.

    `stack` supplies the function's environment variables. `client` is the folder of the runtime client.
    """
    name = logical_id(folder)
    environ = {
        **environment(LAYER, client),
        **stack.function_variables()[name],
        "AWS_LAMBDA_FUNCTION_TIMEOUT": str(functions()[folder]["Timeout"]),
    }
    port = free_port()
    address, api = (f"127.0.0.1:{each}" for each in (port, free_port()))
    listening = ["--runtime-interface-emulator-address", address, "--runtime-api-address", api, "--log-level", "error"]
    command = [str(emulator()), *listening, str(python()), "-m", "awslambdaric", "app.lambda_handler"]
    with subprocess.Popen(
        command, cwd=BUILD / name, env=environ, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    ) as process:
        try:
            wait_for(port, TIMEOUT_SECONDS)
            yield Emulated(f"http://{address}/2015-03-31/functions/function/invocations")
        finally:
            process.terminate()
