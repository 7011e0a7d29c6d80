"""`make sam-local` finds the container engine, and `convoke up --sam-local` writes files for `sam local invoke`.

No test starts a container.
"""

from __future__ import annotations

import json
import os
import re
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import pytest

from convoke.cli.ministack import LOOPBACK, deployed
from convoke.cli.sam_local import container_url, write_files
from tests.support import sam_local
from tests.support.template import ROOT, resources


@contextmanager
def engine(answer: object) -> Iterator[str]:
    """Run a fake container engine that answers every GET request with the same JSON. Yield its DOCKER_HOST."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.end_headers()
            self.wfile.write(json.dumps(answer).encode())

        def log_message(self, *_: object) -> None:
            """Suppress the access log."""

    with HTTPServer((LOOPBACK, 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        try:
            yield f"tcp://{LOOPBACK}:{server.server_port}"
        finally:
            server.shutdown()


def network(gateway: str) -> dict[str, Any]:
    return {"Name": "bridge", "IPAM": {"Config": [{"Gateway": gateway}]}}


def run_without_engine(docker_host: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "tests.support.sam_local"],
        cwd=ROOT,
        env=os.environ | {"DOCKER_HOST": docker_host},
        capture_output=True,
        text=True,
        check=False,
    )


def test_sam_local_without_a_container_engine_prints_one_line_and_exits_1(tmp_path: Path) -> None:
    missing = run_without_engine(f"unix://{tmp_path}/docker.sock")
    with engine({"message": "network bridge not found"}) as docker_host:
        strange = run_without_engine(docker_host)
    for result in (missing, strange):
        assert (result.returncode, result.stdout) == (1, "")
        (line,) = result.stderr.splitlines()
        assert line.startswith("`make sam-local` needs Docker or podman")


@pytest.mark.skipif(sys.platform != "linux", reason="Docker Desktop forwards connections to the loopback interface")
def test_ministack_listens_on_the_bridge_of_the_containers_if_this_machine_has_its_address(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with engine(network("127.0.0.2")) as docker_host:
        monkeypatch.setenv("DOCKER_HOST", docker_host)
        assert sam_local.host() == "127.0.0.2"
    with engine(network("203.0.113.1")) as docker_host:
        monkeypatch.setenv("DOCKER_HOST", docker_host)
        assert sam_local.host() == sam_local.primary_address()


def test_engine_is_found_at_a_unix_socket(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DOCKER_HOST", f"unix://{tmp_path}/engine.sock")
    body = json.dumps(network("127.0.0.2"))

    def answer(listener: socket.socket) -> None:
        connection, _ = listener.accept()
        with connection:
            connection.recv(65536)
            connection.sendall(f"HTTP/1.1 200 OK\r\nContent-Length: {len(body)}\r\n\r\n{body}".encode())

    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(f"{tmp_path}/engine.sock")
        listener.listen()
        thread = threading.Thread(target=answer, args=(listener,))
        thread.start()
        assert sam_local.bridge_gateway() == "127.0.0.2"
        thread.join()


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("http://127.0.0.1:8000", "http://host.docker.internal:8000"),
        ("http://localhost:8000", "http://host.docker.internal:8000"),
        ("http://172.17.0.1:8000", "http://172.17.0.1:8000"),
    ],
)
def test_containers_get_a_url_that_leads_to_this_machine(url: str, expected: str) -> None:
    assert container_url(url) == expected


@pytest.mark.parametrize(
    ("name", "result", "expected"),
    [
        ("events/api/create_plain.json", {"statusCode": 202}, True),
        ("events/api/create_plain.json", {"statusCode": 401}, False),
        ("events/sweeper/every_minute.json", 3, True),
        ("events/sweeper/every_minute.json", {"errorType": "ClientError"}, False),
        ("events/conversation_finalizer/settle.json", None, True),
        ("events/event_publisher/change.json", {"batchItemFailures": []}, True),
        ("events/event_publisher/change.json", {"batchItemFailures": [{"itemIdentifier": "1"}]}, False),
        ("events/participant_adder/batch.json", {"batchItemFailures": [{"itemIdentifier": "1"}]}, True),
        ("events/participant_adder/batch.json", {"batchItemFailures": []}, False),
    ],
)
def test_unexpected_result_of_a_sample_is_a_failure(name: str, result: Any, expected: bool) -> None:
    assert sam_local.is_expected(name, result) is expected


def test_files_have_the_variables_of_every_function_and_complete_events(tmp_path: Path) -> None:
    # If possible, use an address that is not the default. Linux accepts every address of 127.0.0.0/8, but macOS accepts
    # only 127.0.0.1.
    host = "127.0.0.2" if sys.platform == "linux" else LOOPBACK
    with deployed(host=host) as stack:
        write_files(stack, tmp_path)
        assert stack.url.startswith(f"http://{host}:")
    variables = json.loads((tmp_path / "environment.json").read_text())
    assert set(variables) == set(resources("AWS::Serverless::Function"))
    for each in variables.values():
        assert each["AWS_ENDPOINT_URL"] == container_url(stack.endpoint_url)
        assert each["CONVOKE_STACK_NAME"] == "convoke"
    assert variables["ApiFunction"]["CONVOKE_TABLE_NAME"] == stack.outputs["TableName"]
    events = {path.relative_to(tmp_path) for path in tmp_path.glob("events/*/*.json")}
    assert events == {path.relative_to(ROOT) for path in ROOT.glob("events/*/*.json")}
    for event in events:
        text = (tmp_path / event).read_text()
        assert not re.search("{[A-Z_]+}|<[^>]+>", text), event
        json.loads(text)
    assert '"conversation_sid": "CH' in (tmp_path / "events/conversation_finalizer/settle.json").read_text()
