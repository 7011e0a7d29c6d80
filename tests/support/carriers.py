"""Fake servers for the APIs of carriers. The fakes follow the public API descriptions."""

from __future__ import annotations

import base64
import json
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, ClassVar
from urllib.parse import parse_qs

from botocore.session import get_session
from botocore.validate import validate_parameters


@dataclass
class Reply:
    """The response of a fake carrier. The default status means that the carrier accepts the message."""

    status: int = 201
    body: Mapping[str, object] | str = field(default_factory=dict)
    is_lost: bool = False
    """Whether the carrier closes the connection instead of sending a response."""


@dataclass
class StandIn:
    """A fake carrier that records the requests.

    The carrier answers with `replies` in order. Once `replies` is empty, the carrier accepts every valid message.
    """

    url: str
    requests: list[Any] = field(default_factory=list)
    replies: list[Reply] = field(default_factory=list)


class _Handler(BaseHTTPRequestHandler):
    stand_in: ClassVar[StandIn]

    def log_message(self, *_: object) -> None: ...

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        accepted = self.accept(body)
        reply = self.stand_in.replies.pop(0) if self.stand_in.replies else accepted
        if reply.is_lost:
            self.close_connection = True
            return
        content = reply.body if isinstance(reply.body, str) else json.dumps(reply.body)
        self.send_response(reply.status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content.encode())

    def accept(self, body: bytes) -> Reply:
        raise NotImplementedError


class _TwilioHandler(_Handler):
    """Implements the creation of a Message. See https://www.twilio.com/docs/messaging/api/message-resource."""

    def accept(self, body: bytes) -> Reply:
        form = parse_qs(body.decode(), strict_parsing=True)
        user, _, token = base64.b64decode(self.headers["Authorization"].removeprefix("Basic ")).decode().partition(":")
        self.stand_in.requests.append({"path": self.path, "user": user, "token": token, "form": form})
        if self.path != f"/2010-04-01/Accounts/{ACCOUNT}/Messages.json" or (user, token) != (ACCOUNT, TOKEN):
            return Reply(401, {"code": 20003, "message": "Authenticate", "status": 401})
        sid = f"SM{len(self.stand_in.requests):032x}"
        return Reply(201, {"sid": sid, "status": "queued", "error_code": None})


class _AwsHandler(_Handler):
    """Implements the operations that send an SMS or an MMS.

    Each request must be valid according to botocore's service description.
    """

    def accept(self, body: bytes) -> Reply:
        service, _, operation = self.headers["X-Amz-Target"].partition(".")
        sent = json.loads(body)
        assert service == "PinpointSMSVoiceV2"
        assert operation == ("SendMediaMessage" if "MediaUrls" in sent else "SendTextMessage")
        model = get_session().get_service_model("pinpoint-sms-voice-v2").operation_model(operation)
        assert model.input_shape
        validate_parameters(sent, model.input_shape)
        self.stand_in.requests.append(sent)
        return Reply(200, {"MessageId": f"message-{len(self.stand_in.requests)}"})


TOKEN = "0123456789abcdef0123456789abcdef"

ACCOUNT = "AC" + "9" * 32


@contextmanager
def _served(handler: type[_Handler]) -> Iterator[StandIn]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    handler.stand_in = stand_in = StandIn(f"http://127.0.0.1:{server.server_port}")
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield stand_in
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


@contextmanager
def twilio_stand_in() -> Iterator[StandIn]:
    """Run a fake of Twilio Programmable Messaging. The fake accepts only ACCOUNT and its Auth Token TOKEN."""
    with _served(_TwilioHandler) as stand_in:
        yield stand_in


@contextmanager
def aws_stand_in() -> Iterator[StandIn]:
    """Run a fake of AWS End User Messaging SMS."""
    with _served(_AwsHandler) as stand_in:
        yield stand_in
