"""An upload's body is the file itself or a form that contains the file (api/uploads.py)."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from convoke.api.uploads import MAX_PART_HEAD_BYTES, MultipartBody, RawBody, upload_body
from convoke.domain.errors import ConversationsError, InvalidParameterError, MediaTypeNotAcceptableError

FORM = "multipart/form-data; boundary=X"


def content_of(body: RawBody | MultipartBody, parts: Iterable[bytes]) -> bytes:
    content = b"".join(body.content_in(part) for part in parts)
    body.check_complete()
    return content


def split(data: bytes, positions: Iterable[int]) -> list[bytes]:
    edges = [0, *sorted(min(position, len(data)) for position in positions), len(data)]
    return [data[first:last] for first, last in pairwise(edges)]


CONTENT = st.binary(max_size=60) | st.lists(st.sampled_from([b"\r", b"\n", b"-", b"X", b"\r\n--", b"a"])).map(b"".join)


@given(CONTENT, st.lists(st.integers(0, 300)))
def test_file_in_a_form_is_found_wherever_the_form_is_split(content: bytes, positions: list[int]) -> None:
    boundary = b"X"
    while b"\r\n--" + boundary in b"\r\n" + content:
        boundary += b"Y"
    form = (
        b"--%b\r\nContent-Disposition: form-data; name=note\r\n\r\nignored\r\n"
        b"--%b \r\ncontent-type: image/PNG; q=1\r\n"
        b'Content-Disposition: form-data; name="f"; filename="\xc3\xbc.png"\r\n\r\n'
        b"%b\r\n--%b--\r\nepilogue"
    ) % (boundary, boundary, content, boundary)
    body = MultipartBody(f"multipart/form-data; boundary={boundary.decode()}", None)
    assert content_of(body, split(form, positions)) == content
    assert (body.content_type, body.filename) == ("image/png", "ü.png")


def test_filename_of_the_query_takes_precedence() -> None:
    form = b'--X\r\nContent-Disposition: form-data; name="f"; filename="a.png"\r\n\r\nabc\r\n--X--'
    body = MultipartBody(FORM, "b.png")
    assert content_of(body, [form]) == b"abc"
    assert (body.content_type, body.filename) == ("application/octet-stream", "b.png")


@pytest.mark.parametrize(
    "form",
    [
        b"",
        b"--X--",
        b"no form at all",
        b"--X\r\nContent-Disposition: form-data; name=note\r\n\r\nno file\r\n--X--",
        b'--X\r\nContent-Disposition: form-data; filename="a"\r\n\r\nnever ends',
        b"--X\r\n" + b"x" * (MAX_PART_HEAD_BYTES + 1),
    ],
)
def test_form_without_a_complete_file_is_refused(form: bytes) -> None:
    with pytest.raises(InvalidParameterError):
        content_of(MultipartBody(FORM, None), [form])


def test_incomplete_form_is_never_kept_in_memory() -> None:
    head = b'--X\r\nContent-Disposition: form-data; filename="a"\r\n\r\n'
    body = MultipartBody(FORM, None)
    for part in (head, *[b"x" * 100_000] * 10):
        body.content_in(part)
        assert len(body._rest) < len("\r\n--X")


@pytest.mark.parametrize(
    ("header", "shown"),
    [
        ("", "application/octet-stream"),
        ("image/png", "image/png"),
        ("Image/PNG; charset=binary", "image/png"),
        ("application/vnd.openxmlformats-officedocument.wordprocessingml.document",) * 2,
    ],
)
def test_content_type_has_no_parameters(header: str, shown: str) -> None:
    assert upload_body(header, None).content_type == shown


MALFORMED = ["image", "image/", "/png", "image/png/x", "a b/c", "image/png\r\nX: y", "é/x", "*/*"]


@pytest.mark.parametrize("header", MALFORMED)
def test_malformed_content_type_is_refused(header: str) -> None:
    with pytest.raises(MediaTypeNotAcceptableError):
        upload_body(header, None)


@given(st.text())
def test_any_content_type_is_accepted_or_refused(header: str) -> None:
    try:
        body = upload_body(header, None)
    except ConversationsError:
        return
    assert "\n" not in body.content_type
