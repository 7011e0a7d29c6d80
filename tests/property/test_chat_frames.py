"""The frame parser can read every frame of `write_frame`, and no bytes crash the parser (api/chat/frames.py)."""

from __future__ import annotations

import json
from contextlib import suppress
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from convoke.api.chat.frames import Frame, InvalidFrameError, parse_frame, write_frame

OWN_NAMES = ("method", "id", "payload_size", "payload_type")

VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)

HEADERS = st.dictionaries(st.text().filter(lambda name: name not in OWN_NAMES), VALUES, max_size=4)

FRAMES = st.builds(Frame, st.text(), st.text(), HEADERS, st.binary(max_size=200))


def header_of(frame: Frame) -> dict[str, Any]:
    return {name: value for name, value in frame.header.items() if name != "payload_type"}


@given(FRAMES)
def test_written_frame_is_read_again(frame: Frame) -> None:
    read = parse_frame(write_frame(frame))
    assert (read.method, read.id, header_of(read), read.payload) == (
        frame.method,
        frame.id,
        frame.header,
        frame.payload,
    )


@given(FRAMES)
def test_written_frame_has_the_parts_that_clients_expect(frame: Frame) -> None:
    written = write_frame(frame)
    first, header, rest = written.split(b"\r\n", 2)
    name, version, size = first.split(b" ")
    assert (name, version, int(size)) == (b"TWILSOCK", b"V3.0", len(header))
    assert json.loads(header)["payload_size"] == len(frame.payload)
    assert rest == frame.payload + b"\r\n"


@given(FRAMES, st.data())
def test_changed_or_cut_frame_is_read_or_refused(frame: Frame, data: st.DataObject) -> None:
    written = bytearray(write_frame(frame))
    position = data.draw(st.integers(0, len(written) - 1))
    if data.draw(st.booleans()):
        del written[position:]
    else:
        written[position] = data.draw(st.integers(0, 255))
    try:
        read = parse_frame(bytes(written))
    except InvalidFrameError:
        return
    assert isinstance(read.method, str)
    assert isinstance(read.header, dict)


@given(st.binary(max_size=300) | st.binary(max_size=300).map(lambda data: b"TWILSOCK V3.0 2\r\n" + data))
def test_any_bytes_are_a_frame_or_refused(data: bytes) -> None:
    with suppress(InvalidFrameError):
        parse_frame(data)


def framed(header: str, payload: str = "") -> bytes:
    return f"TWILSOCK V3.0 {len(header)}\r\n{header}\r\n{payload}".encode()


@pytest.mark.parametrize(
    "data",
    [
        b"",
        framed("[]"),
        framed('{"method":"init"}'),
        framed('{"id":"TM1"}'),
        framed('{"method":1,"id":"TM1"}'),
        framed('{"method":"init","id":"TM1","payload_size":true}'),
        framed('{"method":"init","id":"TM1","payload_size":-1}', "x"),
        framed('{"method":"init","id":"TM1","payload_size":2}', "x"),
        framed('{"method":"init","id":"TM1","payload_size":1}', "xyz"),
        framed("[" * 3000),
        b"TWILSOCK V3.0 99999999\r\n",
        b"TWILSOCK V4.0 2\r\n{}\r\n",
    ],
)
def test_invalid_frame_is_refused(data: bytes) -> None:
    with pytest.raises(InvalidFrameError):
        parse_frame(data)


@pytest.mark.parametrize("end", ["", "\r\n"])
def test_line_break_at_the_end_is_optional(end: str) -> None:
    frame = parse_frame(framed('{"method":"message","id":"TM1","payload_size":2}', "{}" + end))
    assert frame == Frame("message", "TM1", {}, b"{}")
