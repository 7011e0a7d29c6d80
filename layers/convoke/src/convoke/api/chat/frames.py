"""Parse and build the frames of the chat SDK's WebSocket.

Each WebSocket message is binary and holds one frame. A frame begins with a line that contains the length of the header.
The header, which is JSON, and the payload follow. See docs/chat.md#protocol.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Any

import orjson

from convoke.api.chat.requests import ChatAnswer

FIRST_LINE = re.compile(rb"TWILSOCK V3\.0 ([0-9]{1,7})\r\n")

JSON = "application/json"


class InvalidFrameError(ValueError):
    """A WebSocket message is not a valid frame. The error text quotes no bytes, because a frame can contain a token."""


@dataclass(frozen=True, slots=True)
class Frame:
    method: str
    id: str
    header: Mapping[str, Any] = field(default_factory=dict)
    """The fields of the header, except `method`, `id` and `payload_size`."""
    payload: bytes = b""


def parse_frame(data: bytes) -> Frame:
    """Return the frame in a WebSocket message. Raise InvalidFrameError if the message is not a frame."""
    line = FIRST_LINE.match(data)
    if line is None:
        raise InvalidFrameError("the first line is invalid")
    start, size = line.end(), int(line[1])
    try:
        header = orjson.loads(data[start : start + size])
    except orjson.JSONDecodeError:
        raise InvalidFrameError("the header is not JSON") from None
    rest = data[start + size :]
    if not isinstance(header, dict) or not rest.startswith(b"\r\n"):
        raise InvalidFrameError("the header has another length, or is not an object")
    method, id_, payload_size = header.pop("method", None), header.pop("id", None), header.pop("payload_size", 0)
    if not isinstance(method, str) or not isinstance(id_, str) or type(payload_size) is not int:
        raise InvalidFrameError("the header has no method, no id or no size of the payload")
    payload = rest[len(b"\r\n") :]
    if not 0 <= payload_size <= len(payload) or payload[payload_size:] not in (b"", b"\r\n"):
        raise InvalidFrameError("the payload has another size")
    return Frame(method, id_, header, payload[:payload_size])


def write_frame(frame: Frame) -> bytes:
    """Encode a frame as a WebSocket message.

    A line break follows the header, even if the frame has no payload. Another line break ends the message. Some clients
    need these line breaks, because they split each message into lines.
    """
    header: dict[str, Any] = {
        "method": frame.method,
        "id": frame.id,
        "payload_size": len(frame.payload),
        **frame.header,
    }
    if frame.payload:
        header["payload_type"] = JSON
    encoded = orjson.dumps(header)
    return b"TWILSOCK V3.0 %d\r\n%b\r\n%b\r\n" % (len(encoded), encoded, frame.payload)


def status_of(code: int, error_code: int | None = None, description: str = "") -> dict[str, Any]:
    """Return the object `status` for the header of a frame.

    `code` is an HTTP status, or another code with which the server closes a connection.
    """
    try:
        phrase = HTTPStatus(code).phrase
    except ValueError:
        phrase = "Connection closed"
    status: dict[str, Any] = {"code": code, "status": phrase.upper().replace(" ", "_")}
    if error_code is not None:
        status["errorCode"] = error_code
    return {**status, "description": description} if description else status


def reply(to: str, status: Mapping[str, Any], header: Mapping[str, Any] | None = None, payload: Any = None) -> bytes:
    """Return the reply to the frame with the id `to`."""
    encoded = b"" if payload is None else orjson.dumps(payload)
    return write_frame(Frame("reply", to, {"status": status, **(header or {})}, encoded))


def reply_with_answer(to: str, answer: ChatAnswer) -> bytes:
    """Return the reply to a `message` frame. The reply contains the answer to the client's call.

    The status of the reply itself is always 200. The header field `http_status` contains the status of the answer.
    """
    http = {"http_status": status_of(answer.status), "http_headers": answer.headers}
    return reply(to, status_of(HTTPStatus.OK), http, answer.body)


def notification(id_: str, message_type: str, payload: bytes) -> bytes:
    """Return a frame that notifies a client about an event. `payload` is encoded JSON."""
    header = {"message_type": message_type, "notification_ctx_id": ""}
    return write_frame(Frame("notification", id_, header, payload))


def client_update(id_: str, update_type: str) -> bytes:
    return write_frame(Frame("client_update", id_, {"client_update_type": update_type}))


def ping(id_: str) -> bytes:
    return write_frame(Frame("ping", id_))


def close(id_: str, status: Mapping[str, Any], payload: Any = None) -> bytes:
    """Return the frame with which the server closes a connection."""
    encoded = b"" if payload is None else orjson.dumps(payload)
    return write_frame(Frame("close", id_, {"status": status}, encoded))
