"""Over real sockets, the media client fetches the files that phones send.

The last tests run the operation that stores the files. See docs/behaviour/media.md#media-of-phones.
"""

from __future__ import annotations

import asyncio
import ipaddress
import logging
import time
from base64 import b64encode
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any

import pytest

from convoke.domain.media import MAX_MEDIA, MAX_WHATSAPP_BYTES, CarrierCredentials
from convoke.domain.receivers import ReceiverRules
from convoke.embedded.suspension import NeedsThreadError
from convoke.operations import inbound_media
from convoke.webhooks.answers import MediaRefusedError, WebhookLateError, WebhookUnreachableError
from convoke.webhooks.media_client import MAX_REDIRECTS, MediaHttpClient
from tests.support.instances import EmbeddedInstance, held_instance
from tests.support.media import PICTURE

ANYWHERE = ReceiverRules()

Answer = Callable[[BaseHTTPRequestHandler], None]


def answer(content: bytes = PICTURE, content_type: str = "image/png", status: int = 200, **headers: str) -> Answer:
    def send(handler: BaseHTTPRequestHandler) -> None:
        handler.send_response(status)
        handler.send_header("Content-Type", content_type)
        handler.send_header("Content-Length", str(len(content)))
        for name, value in headers.items():
            handler.send_header(name.replace("_", "-"), value)
        handler.end_headers()
        handler.wfile.write(content)

    return send


@contextmanager
def host(answers: dict[str, Answer]) -> Iterator[tuple[str, list[tuple[str, str | None]]]]:
    """Run an HTTP server until the block ends. `answers` maps a path to the function that sends the response.

    Yield the server's origin, and a list with the path and the credentials of each request.
    """
    requests: list[tuple[str, str | None]] = []

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            requests.append((self.path, self.headers["Authorization"]))
            with suppress(ConnectionError):
                answers[self.path](self)

        def log_message(self, *_: Any) -> None: ...

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        try:
            yield f"http://127.0.0.1:{server.server_port}", requests
        finally:
            server.shutdown()


def fetched(url: str, credentials: CarrierCredentials | None = None, seconds: float = 5, **rules: Any) -> bytes:
    client = MediaHttpClient(ReceiverRules(**rules))
    with client.fetch(url, credentials, seconds) as found:
        return b"".join(found.parts)


def test_content_type_and_filename_are_returned() -> None:
    named = answer(Content_Disposition='inline; filename="car.png"')
    with host({"/a": named, "/b": answer()}) as (origin, _):
        for path, filename in (("/a", "car.png"), ("/b", None)):
            with MediaHttpClient(ANYWHERE).fetch(origin + path, None, 5) as found:
                assert (found.content_type, found.filename) == ("image/png", filename)
                assert b"".join(found.parts) == PICTURE


@pytest.mark.parametrize("status", [204, 302, 401, 404, 500])
def test_other_status_is_refused(status: int) -> None:
    with host({"/": answer(b"", status=status)}) as (origin, _), pytest.raises(MediaRefusedError, match=str(status)):
        fetched(f"{origin}/")


def test_only_the_carrier_gets_the_credentials() -> None:
    with (
        host({"/cdn": answer()}) as (cdn, at_cdn),
        host({"/a": answer(b"", status=307, Location=f"{cdn}/cdn")}) as (
            carrier,
            at_carrier,
        ),
    ):
        credentials = CarrierCredentials(carrier, "AC1", "secret")
        assert fetched(f"{carrier}/a", credentials) == PICTURE
        basic = "Basic " + b64encode(b"AC1:secret").decode()
        assert (at_carrier, at_cdn) == ([("/a", basic)], [("/cdn", None)])
        for other in (
            carrier.replace("http:", "https:"),
            carrier.replace("127.0.0.1", "127.0.0.2"),
            "http://127.0.0.1:9",
        ):
            fetched(f"{carrier}/a", credentials._replace(origin=other))
            assert at_carrier[-1] == ("/a", None)


def test_host_that_looks_like_the_carrier_gets_no_credentials() -> None:
    r"""In `http://one\@two/`, the host is `two` for urllib but `one` for urllib3.

    The client must call the same host that it compares with the carrier's host.
    """
    with host({"/": answer()}) as (carrier, at_carrier), host({}) as (other, at_other):
        url = f"{other}\\@{carrier.removeprefix('http://')}/"
        assert fetched(url, CarrierCredentials(carrier, "AC1", "secret")) == PICTURE
        assert (len(at_carrier), at_other) == (1, [])


@pytest.mark.parametrize(
    "parameter", ["filename*=unicode_escape''%5Cud800", "filename*=punycode''%ff", "filename*=idna''a..b%ff"]
)
def test_filename_that_cannot_be_stored_is_left_out(parameter: str) -> None:
    with (
        host({"/": answer(Content_Disposition=f"attachment; {parameter}")}) as (origin, _),
        MediaHttpClient(ANYWHERE).fetch(f"{origin}/", None, 5) as found,
    ):
        assert (found.filename, b"".join(found.parts)) == (None, PICTURE)


def test_redirects_are_limited() -> None:
    redirects = {f"/{n}": answer(b"", status=302, Location=f"/{n + 1}") for n in range(MAX_REDIRECTS + 1)}
    with host({**redirects, f"/{MAX_REDIRECTS + 1}": answer()}) as (origin, _):
        assert fetched(f"{origin}/1") == PICTURE
        with pytest.raises(MediaRefusedError, match="redirects"):
            fetched(f"{origin}/0")


@pytest.mark.parametrize(
    "location", ["http://127.0.0.2:9/x", "http://169.254.169.254/latest/meta-data", "http://[::1]/"]
)
def test_each_redirect_must_be_allowed(location: str) -> None:
    allowed = (ipaddress.ip_network("127.0.0.1/32"),)
    with host({"/a": answer(b"", status=302, Location=location), "/b": answer()}) as (origin, _):
        assert fetched(f"{origin}/b", public_only=True, allowed=allowed) == PICTURE
        with pytest.raises(WebhookUnreachableError, match="not allowed"):
            fetched(f"{origin}/a", public_only=True, allowed=allowed)
        with pytest.raises(WebhookUnreachableError, match="not allowed"):
            fetched(f"{origin}/b", public_only=True)


MALFORMED = ["file:///etc/passwd", "ftp://127.0.0.1/a", "picture", "http://", "", "http://[", "http://a:99999"]


@pytest.mark.parametrize("url", MALFORMED)
def test_other_urls_are_refused(url: str) -> None:
    with pytest.raises((WebhookUnreachableError, MediaRefusedError)):
        fetched(url)
    with (
        host({"/": answer(b"", status=302, Location=url or "http://[")}) as (origin, _),
        pytest.raises((WebhookUnreachableError, MediaRefusedError)),
    ):
        fetched(f"{origin}/")


def drip(handler: BaseHTTPRequestHandler) -> None:
    handler.send_response(200)
    handler.send_header("Content-Type", "image/png")
    handler.send_header("Content-Length", "1000")
    handler.end_headers()
    for _ in range(100):
        handler.wfile.write(b"x")
        time.sleep(0.05)


def cut(handler: BaseHTTPRequestHandler) -> None:
    handler.send_response(200)
    handler.send_header("Content-Type", "image/png")
    handler.send_header("Content-Length", "1000")
    handler.end_headers()
    handler.wfile.write(b"x" * 500)


def test_slow_host_is_cut_off_at_the_time_limit() -> None:
    begun = time.monotonic()
    with host({"/": drip}) as (origin, _), pytest.raises(WebhookLateError):
        fetched(f"{origin}/", seconds=0.3)
    assert time.monotonic() - begun < 2


def endless(handler: BaseHTTPRequestHandler) -> None:
    """Send one byte of a body without a length, and end the body after the client's time limit."""
    handler.send_response(200)
    handler.send_header("Content-Type", "image/png")
    handler.end_headers()
    handler.wfile.write(b"x")
    time.sleep(1)


def test_content_without_a_length_that_ends_at_the_time_limit_is_not_media() -> None:
    with host({"/": endless}) as (origin, _), pytest.raises(WebhookLateError):
        fetched(f"{origin}/", seconds=0.3)


def test_incomplete_content_is_not_media() -> None:
    with host({"/": cut}) as (origin, _), pytest.raises(WebhookUnreachableError):
        fetched(f"{origin}/")


# The operation that stores the files


@pytest.fixture
def instance() -> Iterator[EmbeddedInstance]:
    with held_instance() as made:
        yield made


def received(instance: EmbeddedInstance, *urls: str) -> list[dict[str, Any]]:
    """Fetch the files of a phone's message from `urls`, and store them. Return the stored media."""
    program = instance.engine.program
    service = program.known_services.fetch(instance.account.sid, instance.account.default_chat_service_sid)
    assert service is not None
    sids = program.inbound_media.fetch(service, urls).sids
    return [program.media.fetch(service, sid).in_message.model_dump(exclude={"sid"}) for sid in sids]


def test_media_that_cannot_be_fetched_is_left_out(instance: EmbeddedInstance, caplog: pytest.LogCaptureFixture) -> None:
    answers = {
        "/first": answer(Content_Disposition="inline; filename=" + "x" * 300),
        "/page": answer(content_type="text/html"),
        "/unknown": answer(status=404),
        "/cut": cut,
        "/long": answer(bytes(MAX_WHATSAPP_BYTES + 1)),
        "/last": answer(bytes(MAX_WHATSAPP_BYTES), "image/jpeg; charset=binary"),
    }
    with host(answers) as (origin, _), caplog.at_level(logging.WARNING):
        stored = received(instance, *(origin + path for path in answers))
    assert stored == [
        {"content_type": "image/png", "size": len(PICTURE), "filename": "x" * 256, "category": "media"},
        {"content_type": "image/jpeg", "size": MAX_WHATSAPP_BYTES, "filename": None, "category": "media"},
    ]
    assert len(caplog.records) == 4
    assert "127.0.0.1" not in caplog.text
    assert not [path for path in instance.engine.media_folder.files() if path.suffix]


def test_all_media_of_a_message_share_one_time_limit(
    instance: EmbeddedInstance, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(inbound_media, "FETCH_SECONDS", 0.3)
    with host({"/drip": drip, "/a": answer()}) as (origin, requests):
        begun = time.monotonic()
        assert [each["size"] for each in received(instance, f"{origin}/a", *[f"{origin}/drip"] * 9)] == [len(PICTURE)]
        assert time.monotonic() - begun < 2
        assert len(requests) <= 3


def test_message_has_at_most_ten_media(instance: EmbeddedInstance) -> None:
    with host({"/a": answer()}) as (origin, _):
        assert len(received(instance, *[f"{origin}/a"] * (MAX_MEDIA + 1))) == MAX_MEDIA


def test_media_after_the_tenth_are_reported_as_lost(instance: EmbeddedInstance) -> None:
    program = instance.engine.program
    service = program.known_services.fetch(instance.account.sid, instance.account.default_chat_service_sid)
    assert service is not None
    with host({"/a": answer()}) as (origin, _):
        fetched = program.inbound_media.fetch(service, [f"{origin}/a"] * (MAX_MEDIA + 2))
    assert (len(fetched.sids), fetched.losses) == (MAX_MEDIA, ("a message has at most 10 media",) * 2)


def test_fetch_never_blocks_the_event_loop(instance: EmbeddedInstance) -> None:
    async def fetch_on_the_loop() -> None:
        async with instance.served():
            with pytest.raises(NeedsThreadError):
                received(instance, "http://127.0.0.1/a")
            assert instance.items("media") == []

    asyncio.run(fetch_on_the_loop())
