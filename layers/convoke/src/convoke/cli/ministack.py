"""Deploy template.yaml to MiniStack, an AWS emulator that runs on this machine without Docker.

This module reads the template and the folders of the functions, so it requires a checkout of Convoke. The functions run
in the current Python environment. This deployment differs from a real deployment in some places, which comments and
docstrings explain.
"""

from __future__ import annotations

import io
import os
import re
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
from hashlib import sha256
from pathlib import Path
from secrets import token_hex
from tempfile import TemporaryDirectory
from types import MappingProxyType
from typing import Any

import boto3
import yaml

from convoke.cli.file_lock import file_lock

ROOT = Path(__file__).parents[5]

LOCKED_TOOLS = ROOT / ".ci/tools"
"""The folder with the requirement files (with hashes) for MiniStack and for AWS's Python runtime client."""

LOOPBACK = "127.0.0.1"

STACK_NAME = "convoke"
REGION = "us-east-1"
BUCKET = "artifacts"
TEMPLATE = "template.yaml"

PARAMETERS = {"AllowedWebhookNetworks": "0.0.0.0/0,::/0", "SnapStart": "false"}
"""The template parameters that differ from the defaults in every deployment. `deploy` adds further parameters.

AllowedWebhookNetworks permits webhook URLs with any address. SnapStart is off, because MiniStack refuses to update a
function that has both SnapStart and a custom runtime.
"""

ALARM = "AWS::CloudWatch::Alarm"

START_FUNCTION = (
    "import runpy; from convoke.domain import receivers; receivers.NEVER_ON_AWS = ();"
    ' runpy.run_module("awslambdaric", run_name="__main__")'
)
"""Python code that starts a function in AWS's runtime client.

On AWS, a function refuses to call a receiver on its own host. On MiniStack, functions and receivers are on the same
host, so this code removes the rule.
"""

MAX_CONCURRENT_REQUESTS = 64
"""The maximum number of concurrent Lambda invocations. Each invocation runs in a process that stays alive.

MiniStack's default is up to 1,000. MiniStack rejects an invocation above the maximum. After a rejected invocation, the
API returns status 429, or an execution of the state machine fails. The state machine does not retry this error.
"""

STACK_TIMEOUT_SECONDS = 60.0
"""How long the creation of the stack may take."""

START_TIMEOUT_SECONDS = 300.0
"""How long MiniStack may take from the start of its process until it is healthy.

The download of MiniStack does not count, because it happens before the process starts.
"""


class StackError(Exception):
    """MiniStack did not start, or the stack was not created.

    For example, uv was not found, or template.yaml is empty.
    """


@dataclass(frozen=True, slots=True)
class Stack:
    """A stack that is deployed to MiniStack."""

    name: str
    url: str
    """The base URL of the API, for the SDKs."""
    account_sid: str
    auth_token: str
    endpoint_url: str
    """The URL under which MiniStack serves all AWS services."""
    outputs: Mapping[str, str]

    def client(self, service: Any) -> Any:
        """Return a boto3 client.

        The return type is Any, so that callers can annotate the type of a service's client.
        """
        return _client(service, self.endpoint_url)

    def resource(self, logical_id: str) -> str:
        """Return the physical id of a resource. `logical_id` is its name in the template."""
        response = self.client("cloudformation").describe_stack_resource(
            StackName=self.name, LogicalResourceId=logical_id
        )
        return str(response["StackResourceDetail"]["PhysicalResourceId"])

    def function_variables(self) -> dict[str, dict[str, str]]:
        """Return the environment variables of the functions. The keys are the logical ids of the functions."""
        pages = self.client("cloudformation").get_paginator("list_stack_resources").paginate(StackName=self.name)
        functions = self.client("lambda")
        variables = {}
        for resource in (each for page in pages for each in page["StackResourceSummaries"]):
            if resource["ResourceType"] == "AWS::Lambda::Function":
                found = functions.get_function_configuration(FunctionName=resource["PhysicalResourceId"])
                variables[resource["LogicalResourceId"]] = found["Environment"]["Variables"]
        return variables


def fetch() -> None:
    """Download the packages that `deployed` needs. After that, `deployed` works without a network."""
    with TemporaryDirectory() as folder:
        bootstrap_script(Path(folder))
        _ministack_command()


@contextmanager
def deployed(port: int = 0, host: str = LOOPBACK) -> Iterator[Stack]:
    """Start MiniStack, deploy the template, and yield the stack.

    Raise StackError if MiniStack does not start, or if the stack is not created.

    At the end of the block, stop MiniStack and delete its files. Port 0 stands for any free port.
    """
    with TemporaryDirectory(prefix="convoke-aws-") as folder, ministack(Path(folder), port, host) as url:
        yield deploy(url, bootstrap_script(Path(folder) / "runtime-client"))


@contextmanager
def ministack(folder: Path, port: int = 0, host: str = LOOPBACK) -> Iterator[str]:
    """Start MiniStack without any resources, and yield its URL. Raise StackError if MiniStack does not start.

    MiniStack listens only on the address `host`, and stores its files in `folder`. MiniStack does not check AWS
    credentials. Every client that reaches the address can read and change everything. At the end of the block,
    MiniStack is stopped.
    """
    port = port or free_port()
    url = f"http://{host}:{port}"
    log = folder / "ministack.log"
    environ = {
        **{name: value for name, value in os.environ.items() if not name.startswith(("AWS_", "MINISTACK_"))},
        "BIND_HOST": host,
        # MiniStack builds URLs with this host. The name `localhost` may resolve to ::1, but MiniStack does not listen
        # there.
        "MINISTACK_HOST": host,
        "MINISTACK_REGION": REGION,
        "GATEWAY_PORT": str(port),
        "IOT_MTLS_ENABLED": "0",
        "LAMBDA_ACCOUNT_CONCURRENCY": str(MAX_CONCURRENT_REQUESTS),
        "STATE_DIR": str(folder / "state"),
        "TMPDIR": str(folder),
    }
    command = _ministack_command()
    with log.open("wb") as output:
        process = subprocess.Popen(  # noqa: S603 - our own command
            [command], stdin=subprocess.DEVNULL, stdout=output, stderr=output, env=environ, start_new_session=True
        )
    try:
        _wait_until_healthy(f"{url}/_ministack/health", process, log)
        yield url
    finally:
        # MiniStack and the functions are one process group. After SIGKILL, files in `folder` can be incomplete, but no
        # caller starts MiniStack again with the same folder.
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def _wait_until_healthy(health: str, process: subprocess.Popen[bytes], log: Path) -> None:
    deadline = time.monotonic() + START_TIMEOUT_SECONDS
    while process.poll() is None and time.monotonic() < deadline:
        with suppress(urllib.error.URLError, ConnectionError), urllib.request.urlopen(health, timeout=5):  # noqa: S310
            return
        time.sleep(0.05)
    raise StackError(f"MiniStack did not start: {log.read_text()[-2000:]}")


def deploy(
    url: str, bootstrap: str, name: str = STACK_NAME, given_parameters: Mapping[str, str] = MappingProxyType({})
) -> Stack:
    """Deploy the template to the MiniStack at `url`, and return the stack. Raise StackError if it is not created.

    `bootstrap` is the script that `bootstrap_script` returns. `given_parameters` are further template parameters.
    """
    api_url = f"{url}/_aws/execute-api/{name}/$default"
    _create_stack(url, bootstrap, name, {**PARAMETERS, "PublicUrl": api_url, **given_parameters})
    return _stack(url, name)


def _create_stack(url: str, bootstrap: str, stack_name: str, given_parameters: Mapping[str, str]) -> None:
    """Create the stack as `sam deploy` does, except for the changes that the comments explain.

    Upload what the template refers to by a path. In the template, the S3 URL replaces the path.
    """
    s3 = _client("s3", url)
    s3.create_bucket(Bucket=BUCKET)

    template = _template()
    # The URL of the API is a parameter of the template, so it must be known before the deployment. MiniStack takes the
    # id of an API from this tag.
    _add_tag(dict(_properties(template))["HttpApi"], "ms-custom-id", stack_name)
    _remove_alarms_with_metric_math(dict(_properties(template))["Resources"])
    for name, value in _properties(template):
        if name in ("CodeUri", "ContentUri", "DefinitionUri"):
            path, key = ROOT / value.value, value.value.replace("/", "-")
            s3.put_object(Bucket=BUCKET, Key=key, Body=_artifact(name, path, bootstrap))
            value.value = f"s3://{BUCKET}/{key}"
        if name == "MaximumConcurrency":
            # Write a number. A template parameter would become a string, but MiniStack's poller compares the value with
            # a number.
            value.tag, value.value = "tag:yaml.org,2002:int", str(MAX_CONCURRENT_REQUESTS)
    # Use a custom runtime, because MiniStack's Python runtime has two problems. MiniStack's runtime reports every
    # exception as Runtime.HandlerError, but the state machine catches errors by their class names. MiniStack's runtime
    # also runs the functions in MiniStack's own Python environment.
    runtimes = [value for name, value in _properties(template) if name == "Runtime"]
    if not runtimes:
        raise StackError("template.yaml does not declare a runtime")
    for runtime in runtimes:
        runtime.value = "provided.al2023"
    # Set AWS_ENDPOINT_URL, because MiniStack does not set this variable in a custom runtime.
    for name, value in _properties(template):
        if name == "AWS_ENDPOINT_URL":
            value.value = url
    # Upload the template. A template inside the request must be at most 51,200 bytes.
    s3.put_object(Bucket=BUCKET, Key=TEMPLATE, Body=yaml.serialize(template).encode())
    cloudformation = _client("cloudformation", url)
    capabilities = ["CAPABILITY_IAM", "CAPABILITY_AUTO_EXPAND"]
    parameters = [{"ParameterKey": name, "ParameterValue": value} for name, value in given_parameters.items()]
    cloudformation.create_stack(
        StackName=stack_name, TemplateURL=f"{url}/{BUCKET}/{TEMPLATE}", Parameters=parameters, Capabilities=capabilities
    )
    deadline = time.monotonic() + STACK_TIMEOUT_SECONDS
    while (
        status := _describe(cloudformation, stack_name)["StackStatus"]
    ) == "CREATE_IN_PROGRESS" and time.monotonic() < deadline:
        time.sleep(0.05)
    if status != "CREATE_COMPLETE":
        events = cloudformation.describe_stack_events(StackName=stack_name)["StackEvents"]
        reasons = [f"{event['LogicalResourceId']}: {event.get('ResourceStatusReason', '')}" for event in events]
        raise StackError("\n".join([f"the stack is {status}", *reasons]))


def _stack(url: str, name: str) -> Stack:
    """Turn on the table's time to live, and return the deployed stack."""
    description = _describe(_client("cloudformation", url), name)
    outputs = {output["OutputKey"]: output["OutputValue"] for output in description["Outputs"]}
    # MiniStack's CloudFormation ignores TimeToLiveSpecification.
    specification = dict(_properties(_template())).get("TimeToLiveSpecification")
    if specification is None:
        raise StackError("template.yaml does not declare a TimeToLiveSpecification")
    attribute = dict(_properties(specification))["AttributeName"].value
    _client("dynamodb", url).update_time_to_live(
        TableName=outputs["TableName"], TimeToLiveSpecification={"Enabled": True, "AttributeName": attribute}
    )
    return Stack(
        name=name,
        url=outputs["ApiUrl"],
        account_sid=outputs["AccountSid"],
        auth_token=_auth_token(url, outputs["AuthTokenSecret"]),
        endpoint_url=url,
        outputs=outputs,
    )


def _auth_token(url: str, secret: str) -> str:
    """Return the Auth Token from a secret.

    MiniStack ignores the Exclude properties of GenerateSecretString. If the generated token contains an excluded
    character, this function replaces the token.
    """
    secrets = _client("secretsmanager", url)
    token = str(secrets.get_secret_value(SecretId=secret)["SecretString"])
    if not re.fullmatch("[0-9a-f]{32}", token):
        token = token_hex(16)
        secrets.put_secret_value(SecretId=secret, SecretString=token)
    return token


def _template() -> yaml.Node:
    """Return template.yaml as a tree of YAML nodes.

    YAML nodes keep CloudFormation's tags, such as `!Ref`, unchanged.
    """
    template = yaml.compose((ROOT / "template.yaml").read_text(), yaml.SafeLoader)
    if template is None:
        raise StackError("template.yaml is empty")
    return template


def _properties(node: yaml.Node) -> Iterator[tuple[str, yaml.Node]]:
    """Yield every name in the mappings of a tree, together with the node of its value. The tree can have any depth."""
    match node:
        case yaml.MappingNode():
            for name, value in node.value:
                yield name.value, value
                yield from _properties(value)
        case yaml.SequenceNode():
            for item in node.value:
                yield from _properties(item)


def _add_tag(resource: yaml.Node, name: str, value: str) -> None:
    """Add a tag to a resource that has no tags. The type of the resource must declare its tags as a mapping."""
    properties = dict(_properties(resource))["Properties"]
    tag = yaml.compose(yaml.safe_dump({"Tags": {name: value}}), yaml.SafeLoader)
    if not isinstance(tag, yaml.MappingNode):
        raise TypeError("the tag is not a mapping")
    properties.value += tag.value


def _remove_alarms_with_metric_math(resources: yaml.Node) -> None:
    """Remove the alarms that MiniStack cannot create. MiniStack supports only alarms on a single metric."""
    resources.value = [
        (name, resource)
        for name, resource in resources.value
        if "Metrics" not in dict(_properties(resource)) or dict(_properties(resource))["Type"].value != ALARM
    ]


def _describe(cloudformation: Any, stack_name: str) -> Any:
    return cloudformation.describe_stacks(StackName=stack_name)["Stacks"][0]


def _ministack_command() -> str:
    """Return the path of MiniStack's executable. Install MiniStack if necessary.

    MiniStack has its own virtual environment, because MiniStack and Convoke require different versions of botocore.
    """
    requirements = LOCKED_TOOLS / "ministack.txt"
    version = sha256(requirements.read_bytes() + sys.version.encode()).hexdigest()[:12]
    environment = ROOT / ".tools/environments" / f"ministack-{version}"
    command = environment / "bin/ministack"
    environment.parent.mkdir(parents=True, exist_ok=True)
    with file_lock(f"{environment}.lock", waits=True):
        if not command.exists():
            _run_uv("venv", "--clear", "--python", sys.executable, str(environment))
            _run_uv("pip", "sync", "--require-hashes", "--python", str(environment), str(requirements))
    return str(command)


def _run_uv(*arguments: str) -> None:
    """Run uv. Raise StackError if uv fails."""
    finished = subprocess.run([uv(), "--quiet", *arguments], capture_output=True, text=True, check=False)  # noqa: S603 - our own command
    if finished.returncode:
        raise StackError(f"uv {arguments[0]} failed: {finished.stderr}")


def bootstrap_script(folder: Path) -> str:
    """Install AWS's Python runtime client into `folder`. Return the `bootstrap` script of a custom Lambda runtime.

    The script runs a Lambda function in the current Python environment. Raise StackError if the installation fails.
    """
    requirements = str(LOCKED_TOOLS / "runtime-client.txt")
    _run_uv(
        *("pip", "install", "--python", sys.executable, "--target", str(folder)),
        *("--require-hashes", "--requirement", requirements),
    )
    return (
        "#!/bin/sh\n"
        f"export PYTHONPATH={shlex.quote(str(folder))}\n"
        f'exec {shlex.quote(sys.executable)} -c {shlex.quote(START_FUNCTION)} "$_HANDLER"\n'
    )


def _artifact(name: str, path: Path, bootstrap: str) -> bytes:
    """Return what to upload for a path in the template.

    `name` is the property that contains the path, such as `CodeUri`.
    """
    if name == "DefinitionUri":
        return path.read_bytes()
    # The layer is empty. The functions run in the current environment, where Convoke is already installed.
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
        aws_secret_access_key="test",  # noqa: S106 - MiniStack accepts any value
    )


def uv() -> str:
    """Return the path of uv.

    First use the variable UV, which `uv run` sets. Otherwise search PATH, then the folder in which `make setup`
    installs uv. Raise StackError if uv is not found.
    """
    found = os.environ.get("UV") or shutil.which("uv") or shutil.which("uv", path=ROOT / ".tools/bin")
    if found is None:
        raise StackError("uv was not found. `make setup` installs uv.")
    return found


def free_port() -> int:
    """Return a free port. Another process may still take the port before the caller uses it."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        return int(server.getsockname()[1])
