"""Read an uploaded file from the body of a request.

The embedded engine passes the body in parts, so that the whole body is never in memory. On AWS, the gateway event
contains the whole body.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, Protocol

from convoke.api.errors import render
from convoke.api.form import MULTIPART, decode_base64, media_type
from convoke.api.responses import Response
from convoke.domain.errors import ConversationsError, InternalError, InvalidParameterError
from convoke.domain.media import Media, check_filename, parse_content_type

if TYPE_CHECKING:
    from convoke.operations.media import MediaUpload

logger = logging.getLogger(__name__)

MAX_PART_HEAD_BYTES = 8 * 1024
"""The maximum size of the headers in one part of a multipart form."""

_BOUNDARY = re.compile(r';\s*boundary=(?:"([^"]{1,70})"|([^\s;"]{1,70}))\s*(?:;|$)', re.IGNORECASE)
_PART_FILENAME = re.compile(
    rb'^content-disposition:[^\r\n]*?;[ \t]*filename="([^"\r\n]*)"', re.IGNORECASE | re.MULTILINE
)
_PART_TYPE = re.compile(rb"^content-type:[ \t]*([^\r\n]*)", re.IGNORECASE | re.MULTILINE)


class UploadBody(Protocol):
    """Finds the content of the file in the body of an upload request."""

    content_type: str
    filename: str | None

    def content_in(self, data: bytes) -> bytes:
        """Return the next bytes of the content. `data` is the next part of the body.

        The object may keep the end of `data` until the next call, because a delimiter could begin there.
        """

    def check_complete(self) -> None:
        """Raise InvalidParameterError if the body is not complete. Call this method after the last part of the body."""


class RawBody:
    """A body that is the content itself, without a form."""

    def __init__(self, content_type: str, filename: str | None) -> None:
        self.content_type = parse_content_type(content_type)
        self.filename = filename

    def content_in(self, data: bytes) -> bytes:
        return data

    def check_complete(self) -> None:
        pass


class MultipartBody:
    """A multipart form (RFC 7578). The content is the first file in the form.

    Everything else in the form is ignored.
    """

    def __init__(self, content_type: str, filename: str | None) -> None:
        found = _BOUNDARY.search(content_type)
        if found is None:
            raise InvalidParameterError(parameter="Content-Type", wanted=f"{MULTIPART} with a boundary")
        self.content_type = ""
        self.filename = filename
        self._delimiter = f"\r\n--{found[1] or found[2]}".encode()
        self._rest = b"\r\n"
        """The bytes that the parser has not processed.

        `_delimiter` begins with a line break, but a delimiter at the start of the body has no line break. Therefore the
        initial value is a line break.
        """
        self._step: Callable[[], bytes | None] = self._skip

    def content_in(self, data: bytes) -> bytes:
        self._rest += data
        found = []
        while (content := self._step()) is not None:
            found.append(content)
        return b"".join(found)

    def check_complete(self) -> None:
        if self._step != self._ignore:
            raise InvalidParameterError(parameter="body", wanted="a complete multipart form with a file")

    # The methods `_skip`, `_read_head`, `_read_content` and `_ignore` are the steps of the parser. A step returns the
    # content that it finds, or None if it needs more data.

    def _skip(self) -> bytes | None:
        skipped = self._until_delimiter(self._read_head)
        return None if skipped is None else b""

    def _read_head(self) -> bytes | None:
        head, blank_line, rest = self._rest.partition(b"\r\n\r\n")
        if not blank_line:
            if len(self._rest) > MAX_PART_HEAD_BYTES:
                raise InvalidParameterError(parameter="body", wanted="a multipart form with short headers")
            return None
        self._rest = rest
        name = _PART_FILENAME.search(head)
        if name is None:
            self._step = self._skip
            return b""
        found = _PART_TYPE.search(head)
        self.content_type = parse_content_type(found[1].decode("latin-1") if found else "")
        self.filename = self.filename or check_filename(name[1].decode(errors="replace"))
        self._step = self._read_content
        return b""

    def _read_content(self) -> bytes | None:
        return self._until_delimiter(self._ignore)

    def _ignore(self) -> bytes | None:
        self._rest = b""
        return None

    def _until_delimiter(self, next_step: Callable[[], bytes | None]) -> bytes | None:
        """Return the bytes before the next delimiter, and continue with `next_step` after the delimiter.

        If the data contains no delimiter, return the bytes that cannot be part of a delimiter, or None if there are
        no such bytes.
        """
        found, delimiter, rest = self._rest.partition(self._delimiter)
        if delimiter:
            self._rest, self._step = rest, next_step
            return found
        certain = len(self._rest) - len(self._delimiter) + 1
        if certain <= 0:
            return None
        found, self._rest = self._rest[:certain], self._rest[certain:]
        return found


def upload_body(content_type: str, filename: str | None) -> UploadBody:
    """Return the object that finds the content in the body. Raise an error if `content_type` is malformed.

    `filename` is the value of the parameter `Filename`, or None. This value has priority over a filename in a form.
    """
    is_form = media_type(content_type) == MULTIPART
    return MultipartBody(content_type, filename) if is_form else RawBody(content_type, filename)


class Upload:
    """A request that uploads a file.

    If the engine streams the body, the engine passes each part of the body to `write`, and then calls `respond`. If the
    gateway event contains the whole body, `Api` (on AWS) or the embedded engine calls only `respond_to_event`.

    Only one thread at a time may use this object.
    """

    def __init__(
        self,
        event: Mapping[str, Any],
        upload: MediaUpload,
        body: UploadBody,
        represent: Callable[[Media], Response],
    ) -> None:
        self.headers: dict[str, str] = {}
        """Headers to add to the response."""
        self._event = event
        self._upload = upload
        self._body = body
        self._represent = represent
        self._refusal: Response | None = None

    def write(self, data: bytes) -> bool:
        """Store the next part of the body.

        Return False if the request is refused, so that the engine can stop reading.
        """
        self._try(lambda: self._upload.write(self._body.content_in(data)))
        return self._refusal is None

    def respond(self) -> Response:
        """Complete the upload and return the response."""
        response: Response = self._try(self._complete)
        response.headers.update(self.headers)
        return response

    def respond_to_event(self) -> Response:
        """Complete an upload whose whole body is in the gateway event. Return the response."""
        self._try(lambda: self._upload.write(self._body.content_in(decode_base64(self._event))))
        return self.respond()

    def abort(self) -> None:
        """Discard the content. The engine calls this method if the client disconnects."""
        self._upload.abort()

    def _complete(self) -> Response:
        self._body.check_complete()
        return self._represent(self._upload.complete(self._body.content_type, self._body.filename))

    def _try(self, work: Callable[[], Any]) -> Any:
        """Call `work` and return its result. If `work` fails, discard the content and return the error response.

        After the first failure, do not call `work` again, and always return the same error response.
        """
        if self._refusal is None:
            try:
                return work()
            except ConversationsError as error:
                self._refusal = render(error)
            except Exception:
                identified = self.headers.get("Twilio-Request-Id", "")
                logger.exception("an upload failed", extra={"request_id": identified})
                self._refusal = render(InternalError(request_id=identified))
            self._upload.abort()
        return self._refusal
