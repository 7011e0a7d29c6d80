"""`convoke up` receives and sends files over HTTP in parts. See docs/behaviour/media.md."""

from __future__ import annotations

import hashlib
import signal
import socket
import time
from base64 import b64encode
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
import requests

from convoke.embedded import transfers
from convoke.embedded.http_protocol import BoundedProtocol
from convoke.testing.instance import RunningInstance, running
from tests.support.processes import Up, up
from tests.support.waiting import TIMEOUT_SECONDS

MB = 1024 * 1024

MAX_GROWTH_BYTES = 16 * MB
"""How much the server's memory may grow during a transfer of 100 MB."""

FORM_HEAD = b'--X\r\nContent-Disposition: form-data; name="f"; filename="a"\r\n\r\n'


def memory_of(pid: int) -> int:
    """Return the peak resident memory of a process, in bytes."""
    status = Path(f"/proc/{pid}/status").read_text()
    return int(status.partition("VmHWM:")[2].split()[0]) * 1024


def media_url(instance: Up) -> str:
    """Return the URL for uploads to the first account's default service."""
    service = instance.client.conversations.v1.services.list()[0].sid
    return f"{instance.ready['url']}/v1/Services/{service}/Media"


def generated(size: int, digest: Any) -> Iterator[bytes]:
    """Yield `size` bytes, a multiple of 1 MB, in parts of 1 MB. Add each part to `digest`."""
    for number in range(size // MB):
        part = number.to_bytes(2, "big") * (MB // 2)
        digest.update(part)
        yield part


def test_transfer_of_100_mb_leaves_the_memory_flat(tmp_path: Path) -> None:
    with up("--data", str(tmp_path / "convoke.db")) as instance:
        auth, url = (instance.ready["account_sid"], instance.ready["auth_token"]), media_url(instance)
        headers = {"Content-Type": "video/mp4"}
        requests.post(url, data=b"x" * MB, headers=headers, auth=auth).raise_for_status()
        before, sent, received = memory_of(instance.ready["pid"]), hashlib.sha256(), hashlib.sha256()

        created = requests.post(url, data=generated(100 * MB, sent), headers=headers, auth=auth)
        assert (created.status_code, created.json()["size"]) == (201, 100 * MB)
        after_upload = memory_of(instance.ready["pid"])
        with requests.get(created.json()["links"]["content_direct_temporary"], stream=True) as download:
            assert download.headers["Content-Length"] == str(100 * MB)
            for part in download.iter_content(MB):
                received.update(part)
        assert received.digest() == sent.digest()
        after_download = memory_of(instance.ready["pid"])
        print(f"memory: {before} before, {after_upload} after the upload, {after_download} after the download")
        assert after_download - before < MAX_GROWTH_BYTES


def test_other_requests_are_answered_during_an_upload(tmp_path: Path) -> None:
    with up("--data", str(tmp_path / "convoke.db")) as instance:
        auth, url = (instance.ready["account_sid"], instance.ready["auth_token"]), media_url(instance)

        def slow() -> Iterator[bytes]:
            yield b"x" * MB
            assert instance.client.conversations.v1.conversations.create().sid
            yield b"x" * MB

        created = requests.post(url, data=slow(), headers={"Content-Type": "video/mp4"}, auth=auth)
        assert created.json()["size"] == 2 * MB


def test_upload_interrupted_by_a_kill_leaves_no_media(tmp_path: Path) -> None:
    data, folder = str(tmp_path / "convoke.db"), tmp_path / "convoke.db.media"
    with up("--data", data) as killed:
        url, auth = media_url(killed), (killed.ready["account_sid"], killed.ready["auth_token"])
        kept = requests.post(url, data=b"kept", headers={"Content-Type": "image/png"}, auth=auth).json()

        def endless() -> Iterator[bytes]:
            yield b"x" * MB
            wait_until(lambda: any(path.suffix for path in folder.glob("*/*")))
            killed.stop(signal.SIGKILL)
            yield b"x"

        with pytest.raises(requests.ConnectionError):
            requests.post(url, data=endless(), headers={"Content-Type": "image/png"}, auth=auth)
    # The new process gets a clock that the test moves by a day. Then the sweeper removes the interrupted upload.
    with up("--data", data, "--test-clock") as again:
        base = again.ready["url"]
        assert requests.get(f"{base}{urlsplit(kept['links']['content']).path}", auth=auth).content == b"kept"
        requests.post(f"{base}/convoke/v1/Clock", data={"Advance": "PT24H"}, auth=auth).raise_for_status()
        requests.post(f"{base}/convoke/v1/Clock", data={"Advance": "PT1M"}, auth=auth).raise_for_status()
        wait_until(lambda: not [*folder.glob("*/*")])


def wait_until(is_true: Any) -> None:
    until = time.monotonic() + TIMEOUT_SECONDS
    while not is_true():
        assert time.monotonic() < until
        time.sleep(0.01)


# Tests of an instance that runs in the process of the tests


@pytest.fixture
def instance() -> Iterator[RunningInstance]:
    with running() as made:
        yield made


def url_of(instance: RunningInstance) -> str:
    service = instance.client().conversations.v1.services.list()[0].sid
    return f"{instance.url}/v1/Services/{service}/Media"


def files(instance: RunningInstance) -> list[Path]:
    return [*instance._engine.media_folder.files()]


def connected(instance: RunningInstance, head: str, auth: tuple[str, str] | None = None) -> socket.socket:
    """Open a connection, and send only the headers of an upload."""
    user, password = auth or (instance.account_sid, instance.auth_token)
    authorization = b64encode(f"{user}:{password}".encode()).decode()
    parts = urlsplit(instance.url)
    sock = socket.create_connection((parts.hostname, parts.port), timeout=TIMEOUT_SECONDS)
    path = urlsplit(url_of(instance)).path
    sock.sendall(f"POST {path} HTTP/1.1\r\nHost: x\r\nAuthorization: Basic {authorization}\r\n{head}\r\n\r\n".encode())
    return sock


def test_client_without_credentials_is_refused_before_its_file_is_read(instance: RunningInstance) -> None:
    with connected(instance, f"Content-Length: {100 * MB}", auth=("AC" + "0" * 32, "x")) as sock:
        assert sock.recv(100).startswith(b"HTTP/1.1 401 ")
    assert files(instance) == []


def test_announced_length_is_checked_before_the_file_is_read(instance: RunningInstance) -> None:
    with connected(instance, f"Content-Length: {151 * MB}\r\nExpect: 100-continue") as sock:
        assert sock.recv(100).startswith(b"HTTP/1.1 400 ")
    assert files(instance) == []


def test_client_that_expects_100_continue_gets_it(instance: RunningInstance) -> None:
    with connected(instance, "Content-Length: 3\r\nExpect: 100-continue") as sock:
        assert sock.recv(100).startswith(b"HTTP/1.1 100 ")
        sock.sendall(b"abc")
        assert b"HTTP/1.1 201 " in sock.recv(100)


def test_file_that_becomes_too_long_is_refused_and_removed(instance: RunningInstance) -> None:
    object.__setattr__(instance._engine.program.media, "max_upload_bytes", MB)
    auth = (instance.account_sid, instance.auth_token)

    def endless() -> Iterator[bytes]:
        for _ in range(3):
            yield b"x" * MB

    refused = requests.post(url_of(instance), data=endless(), headers={"Content-Type": "image/png"}, auth=auth)
    assert (refused.status_code, refused.json()["code"]) == (400, 50512)
    assert files(instance) == []


def test_disconnected_client_leaves_no_file(instance: RunningInstance) -> None:
    with connected(instance, f"Content-Length: {10 * MB}") as sock:
        sock.sendall(b"x" * MB)
        wait_until(lambda: len(files(instance)) == 1)
    wait_until(lambda: files(instance) == [])


def test_upload_has_more_time_than_other_requests(instance: RunningInstance, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(BoundedProtocol, "request_timeout_seconds", 0.3)
    monkeypatch.setattr(transfers, "UPLOAD_TIMEOUT_SECONDS", 1.0)
    with connected(instance, "Content-Length: 2") as sock:
        sock.sendall(b"a")
        time.sleep(0.5)
        sock.sendall(b"b")
        assert sock.recv(100).startswith(b"HTTP/1.1 201 ")
    begun = time.monotonic()
    with connected(instance, "Content-Length: 2") as sock:
        assert sock.recv(100).startswith(b"HTTP/1.1 408 ")
    assert time.monotonic() - begun >= 0.9


def test_form_is_uploaded_with_requests(instance: RunningInstance) -> None:
    auth = (instance.account_sid, instance.auth_token)
    form = {"file": ("car.png", b"content" * 10_000, "image/png")}
    created = requests.post(url_of(instance), files=form, auth=auth).json()
    assert (created["filename"], created["size"], created["content_type"]) == ("car.png", 70_000, "image/png")
    assert requests.get(created["links"]["content"], auth=auth).content == b"content" * 10_000


def test_file_that_was_removed_meanwhile_is_not_found(instance: RunningInstance) -> None:
    auth = (instance.account_sid, instance.auth_token)
    created = requests.post(url_of(instance), data=b"x", headers={"Content-Type": "image/png"}, auth=auth).json()
    files(instance)[0].unlink()
    missing = requests.get(created["links"]["content"], auth=auth)
    assert (missing.status_code, missing.json()["code"]) == (404, 20404)


def test_reset_removes_all_files(instance: RunningInstance) -> None:
    auth = (instance.account_sid, instance.auth_token)
    requests.post(url_of(instance), data=b"x", headers={"Content-Type": "image/png"}, auth=auth).raise_for_status()
    (old,) = files(instance)
    requests.post(f"{instance.url}/convoke/v1/Reset", auth=auth).raise_for_status()
    assert (files(instance), old.exists()) == ([], False)
