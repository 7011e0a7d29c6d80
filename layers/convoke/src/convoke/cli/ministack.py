"""The deployment of template.yaml in an AWS on this machine: MiniStack, without Docker.

It wants a checkout: the template, the functions' folders, and the environment that runs this. Each departure from a
deployment in AWS says what MiniStack cannot do.
"""

from __future__ import annotations

import io
import os
import shlex
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
import zipfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from secrets import token_hex
from tempfile import TemporaryDirectory
from typing import Any

import boto3
import yaml

ROOT = Path(__file__).parents[5]

MINISTACK = "ministack[full]==1.5.33"
"""It wants a botocore of its own: uv gives it an environment of its own. `full` brings the SAM transform."""

RUNTIME_CLIENT = "awslambdaric==4.2.2"

STACK_NAME = "convoke"
REGION = "us-east-1"
BUCKET = "artifacts"

PARAMETERS = {"AllowedWebhookNetworks": "0.0.0.0/0,::/0"}
"""Of the template, where its own values are not for one machine: receivers are where developers have them."""

MAX_CONCURRENT_REQUESTS = 64
"""Invocations, each in a process that stays; MiniStack's own bound is up to 1,000. One more is refused, not queued: the
API answers 429, and an execution fails by a name that its Retry does not know."""

START_TIMEOUT_SECONDS = 60.0
"""Seconds; the first start on a machine is not counted."""

STARTED_WITHIN = 300.0
"""Seconds, in which uv may have to download MiniStack."""


class StackError(Exception):
    """MiniStack did not start, or the stack was not completed."""


@dataclass(frozen=True, slots=True)
class Stack:
    url: str
    """The base URL for the SDKs. The URLs in answers, a next page's too, leave its path out and cannot be followed."""
    account_sid: str
    auth_token: str
    endpoint_url: str
    """Of every AWS service."""
    outputs: Mapping[str, str]

    def client(self, service: Any) -> Any:
        """A client of an AWS service; its type is the caller's to say."""
        return _client(service, self.endpoint_url)

    def resource(self, logical_id: str) -> str:
        """What AWS calls a resource of the template."""
        described = self.client("cloudformation").describe_stack_resource(
            StackName=STACK_NAME, LogicalResourceId=logical_id
        )
        return str(described["StackResourceDetail"]["PhysicalResourceId"])


def fetch() -> None:
    """Have uv download what `deployed` needs, so that it can start without a network."""
    with TemporaryDirectory() as folder:
        _bootstrap(Path(folder))
        command = [uv(), "tool", "run", "--quiet", "--python", sys.executable, "--from", MINISTACK, "python", "-V"]
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL)  # noqa: S603 - our own command


@contextmanager
def deployed(port: int = 0) -> Iterator[Stack]:
    """The stack, complete and answering; nothing of it is left afterwards. Port 0 takes any free port.

    Raises StackError.
    """
    with TemporaryDirectory(prefix="convoke-aws-") as folder, ministack(Path(folder), port) as url:
        _deploy(url, _bootstrap(Path(folder) / "runtime-client"))
        yield _stack(url)


@contextmanager
def ministack(folder: Path, port: int = 0) -> Iterator[str]:
    """The URL of an empty AWS that listens on this machine only, and keeps what it writes in `folder`.

    Raises StackError.
    """
    port = port or free_port()
    url = f"http://127.0.0.1:{port}"
    log = folder / "ministack.log"
    environ = {
        **{name: value for name, value in os.environ.items() if not name.startswith(("AWS_", "MINISTACK_"))},
        "BIND_HOST": "127.0.0.1",
        # What it makes URLs of: "localhost" may be ::1 first, where it does not listen.
        "MINISTACK_HOST": "127.0.0.1",
        "MINISTACK_REGION": REGION,
        "GATEWAY_PORT": str(port),
        "IOT_MTLS_ENABLED": "0",
        "LAMBDA_ACCOUNT_CONCURRENCY": str(MAX_CONCURRENT_REQUESTS),
        "STATE_DIR": str(folder / "state"),
        "TMPDIR": str(folder),
        # Handed on to the functions: MiniStack does not tell a custom runtime where its AWS is.
        "AWS_ENDPOINT_URL": url,
    }
    command = [uv(), "tool", "run", "--quiet", "--python", sys.executable, "--from", MINISTACK, "ministack"]
    with log.open("wb") as output:
        process = subprocess.Popen(  # noqa: S603 - our own command
            command, stdin=subprocess.DEVNULL, stdout=output, stderr=output, env=environ, start_new_session=True
        )
    try:
        _wait_until_it_answers(f"{url}/_ministack/health", process, log)
        yield url
    finally:
        # uv, MiniStack and the functions are one session. It has nothing to tidy up that is not in the folder.
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def _wait_until_it_answers(health: str, process: subprocess.Popen[bytes], log: Path) -> None:
    until = time.monotonic() + STARTED_WITHIN
    while process.poll() is None and time.monotonic() < until:
        with suppress(urllib.error.URLError, ConnectionError), urllib.request.urlopen(health, timeout=5):  # noqa: S310
            return
        time.sleep(0.05)
    raise StackError(f"MiniStack did not start: {log.read_text()[-2000:]}")


def _deploy(url: str, bootstrap: str) -> None:
    """Create the stack as `sam deploy` does: code into a bucket, its address into the template."""
    s3 = _client("s3", url)
    s3.create_bucket(Bucket=BUCKET)

    template = _template()
    for name, value in _properties(template):
        if name in ("CodeUri", "ContentUri", "DefinitionUri"):
            path, key = ROOT / value.value, value.value.replace("/", "-")
            s3.put_object(Bucket=BUCKET, Key=key, Body=_artifact(name, path, bootstrap))
            value.value = f"s3://{BUCKET}/{key}"
    # MiniStack's own Python runtime calls every exception Runtime.HandlerError, and the state machine catches by name.
    # It would also run the functions in MiniStack's environment.
    runtimes = [value for name, value in _properties(template) if name == "Runtime"]
    if not runtimes:
        raise StackError("template.yaml names no Python runtime")
    for runtime in runtimes:
        runtime.value = "provided.al2023"
    cloudformation = _client("cloudformation", url)
    capabilities = ["CAPABILITY_IAM", "CAPABILITY_AUTO_EXPAND"]
    parameters = [{"ParameterKey": name, "ParameterValue": value} for name, value in PARAMETERS.items()]
    cloudformation.create_stack(
        StackName=STACK_NAME, TemplateBody=yaml.serialize(template), Parameters=parameters, Capabilities=capabilities
    )
    until = time.monotonic() + START_TIMEOUT_SECONDS
    while (status := _describe(cloudformation)["StackStatus"]) == "CREATE_IN_PROGRESS" and time.monotonic() < until:
        time.sleep(0.05)
    if status != "CREATE_COMPLETE":
        events = cloudformation.describe_stack_events(StackName=STACK_NAME)["StackEvents"]
        reasons = [f"{event['LogicalResourceId']}: {event.get('ResourceStatusReason', '')}" for event in events]
        raise StackError("\n".join([f"the stack is {status}", *reasons]))


def _stack(url: str) -> Stack:
    """What is deployed, after what MiniStack's CloudFormation leaves out is made good."""
    described = _describe(_client("cloudformation", url))
    outputs = {output["OutputKey"]: output["OutputValue"] for output in described["Outputs"]}
    # It ignores TimeToLiveSpecification.
    specification = dict(_properties(_template())).get("TimeToLiveSpecification")
    if specification is None:
        raise StackError("template.yaml names no TimeToLiveSpecification")
    attribute = dict(_properties(specification))["AttributeName"].value
    _client("dynamodb", url).update_time_to_live(
        TableName=outputs["TableName"], TimeToLiveSpecification={"Enabled": True, "AttributeName": attribute}
    )
    # Of GenerateSecretString it ignores which kinds of characters to exclude: its token is full of punctuation.
    token = token_hex(16)
    _client("secretsmanager", url).put_secret_value(SecretId=outputs["AuthTokenSecret"], SecretString=token)
    # Its ApiUrl is a host below 127.0.0.1, which no resolver knows.
    api_id = outputs["ApiUrl"].removeprefix("http://").partition(".")[0]
    return Stack(
        url=f"{url}/_aws/execute-api/{api_id}/$default",
        account_sid=outputs["AccountSid"],
        auth_token=token,
        endpoint_url=url,
        outputs=outputs,
    )


def _template() -> yaml.Node:
    """Return template.yaml as a tree of YAML nodes, which keep CloudFormation's tags (`!Ref`) as they are."""
    template = yaml.compose((ROOT / "template.yaml").read_text(), yaml.SafeLoader)
    if template is None:
        raise StackError("template.yaml is empty")
    return template


def _properties(node: yaml.Node) -> Iterator[tuple[str, yaml.Node]]:
    """Yield every name in the mappings of a tree, at any depth, with the node of its value."""
    match node:
        case yaml.MappingNode():
            for name, value in node.value:
                yield name.value, value
                yield from _properties(value)
        case yaml.SequenceNode():
            for item in node.value:
                yield from _properties(item)


def _describe(cloudformation: Any) -> Any:
    return cloudformation.describe_stacks(StackName=STACK_NAME)["Stacks"][0]


def _bootstrap(folder: Path) -> str:
    """The program of a custom runtime: AWS's own client in this environment, where `convoke` is the checkout."""
    command = [uv(), "pip", "install", "--quiet", "--python", sys.executable, "--target", str(folder), RUNTIME_CLIENT]
    installed = subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603 - our own command
    if installed.returncode:
        raise StackError(f"{RUNTIME_CLIENT} could not be installed: {installed.stderr}")
    return (
        "#!/bin/sh\n"
        f"export PYTHONPATH={shlex.quote(str(folder))}\n"
        f'exec {shlex.quote(sys.executable)} -m awslambdaric "$_HANDLER"\n'
    )


def _artifact(name: str, path: Path, bootstrap: str) -> bytes:
    """What takes the place of the path that a property of the template names."""
    if name == "DefinitionUri":
        return path.read_bytes()
    # The layer is empty: the functions run in this environment, which has all of it.
    files = {} if name == "ContentUri" else {"app.py": (path / "app.py").read_text(), "bootstrap": bootstrap}
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w") as archive:
        for file, text in files.items():
            entry = zipfile.ZipInfo(file)
            entry.external_attr = 0o755 << 16
            archive.writestr(entry, text)
    return content.getvalue()


def _client(service: Any, url: str) -> Any:
    return boto3.client(
        service,
        endpoint_url=url,
        region_name=REGION,
        aws_access_key_id="test",
        aws_secret_access_key="test",  # noqa: S106 - MiniStack takes any
    )


def uv() -> str:
    """`uv run` says which it is; the Makefile installs one where a machine has none."""
    found = os.environ.get("UV") or shutil.which("uv") or shutil.which("uv", path=ROOT / ".tools/bin")
    if found is None:
        raise StackError("there is no uv: `make setup` installs it")
    return found


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        return int(taken.getsockname()[1])
