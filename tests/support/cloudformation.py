"""A fake CloudFormation server with two operations: DescribeStacks and ListStackResources.

Commands with the option `--stack` call no other operation of CloudFormation. moto's CloudFormation server would need a
dozen more packages.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any
from urllib.parse import parse_qs
from xml.sax.saxutils import escape

from tests.support.template import resolved, template

NAMESPACE = "http://cloudformation.amazonaws.com/doc/2010-05-15/"

Refusal = tuple[int, str, str]
"""The HTTP status, the error code and the message of an error response."""


def outputs(values: Mapping[str, str]) -> dict[str, str]:
    """Return a mapping from each output name of the template to its value.

    `values` maps logical IDs to physical IDs. A missing physical ID is replaced by the logical ID.
    """
    known = {**{name: name for name in template()["Resources"]}, **values}
    return {name: output_value(output["Value"], known) for name, output in template()["Outputs"].items()}


def output_value(value: Any, values: Mapping[str, str]) -> str:
    """Evaluate `value`, an expression in the template. `values` maps logical IDs to physical IDs.

    For a `!GetAtt`, return its argument, such as `HttpApi.ApiEndpoint`, because only AWS knows the value.
    """
    match value:
        case {"Fn::GetAtt": str(attribute)}:
            return attribute
    return resolved(value, values)


@dataclass
class CloudFormation:
    """The state of the fake server. A test sets the responses, and reads the regions of the received requests."""

    url: str = ""
    stacks: dict[str, Mapping[str, str]] = field(default_factory=dict)
    """Maps each stack's name to the outputs of the stack."""
    functions: list[str] = field(default_factory=list)
    """The names of the functions, which are the same for every stack.

    ListStackResources returns one function and its alias per page.
    """
    refusal: Refusal | None = None
    """If not None, DescribeStacks returns this error."""
    regions: list[str] = field(default_factory=list)
    """The AWS region of each request, in the order of the requests."""

    def describe(self, name: str) -> tuple[int, str]:
        missing = (400, "ValidationError", f"Stack with id {name} does not exist")
        if refused := self.refusal or (missing if name not in self.stacks else None):
            status, code, message = refused
            error = f"<Error><Type>Sender</Type><Code>{code}</Code><Message>{escape(message)}</Message></Error>"
            return status, f'<ErrorResponse xmlns="{NAMESPACE}">{error}</ErrorResponse>'
        outputs = "".join(
            f"<member><OutputKey>{key}</OutputKey><OutputValue>{escape(value)}</OutputValue></member>"
            for key, value in self.stacks[name].items()
        )
        stack = f"<StackName>{name}</StackName><StackStatus>CREATE_COMPLETE</StackStatus><Outputs>{outputs}</Outputs>"
        result = f"<DescribeStacksResult><Stacks><member>{stack}</member></Stacks></DescribeStacksResult>"
        return 200, f'<DescribeStacksResponse xmlns="{NAMESPACE}">{result}</DescribeStacksResponse>'

    def resources(self, next_token: str) -> tuple[int, str]:
        place = int(next_token or 0)
        members = "".join(
            f"<member><ResourceType>AWS::Lambda::{kind}</ResourceType><PhysicalResourceId>{name}</PhysicalResourceId>"
            "</member>"
            for name in self.functions[place : place + 1]
            for kind in ("Alias", "Function")
        )
        token = f"<NextToken>{place + 1}</NextToken>" if place + 1 < len(self.functions) else ""
        listed = f"<StackResourceSummaries>{members}</StackResourceSummaries>{token}"
        result = f"<ListStackResourcesResult>{listed}</ListStackResourcesResult>"
        return 200, f'<ListStackResourcesResponse xmlns="{NAMESPACE}">{result}</ListStackResourcesResponse>'


@contextmanager
def cloudformation() -> Iterator[CloudFormation]:
    """Run the server until the block ends."""
    served = CloudFormation()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            asked = parse_qs(self.rfile.read(int(self.headers["Content-Length"])).decode())
            # The header contains `Credential=KEY/DATE/REGION/SERVICE/aws4_request`.
            served.regions.append(self.headers["Authorization"].split("/")[2])
            match asked["Action"]:
                case ["DescribeStacks"]:
                    status, body = served.describe(asked["StackName"][0])
                case ["ListStackResources"]:
                    status, body = served.resources(asked.get("NextToken", ["0"])[0])
                case unknown:
                    raise AssertionError(unknown)
            self.send_response(status)
            self.send_header("Content-Length", str(len(body.encode())))
            self.end_headers()
            self.wfile.write(body.encode())

        def log_message(self, *_: object) -> None:
            """Suppress the access log."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        served.url = f"http://127.0.0.1:{server.server_port}"
        yield served
        server.shutdown()
