"""The media store of one machine: a folder beside the data file."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import timedelta
from pathlib import Path
from typing import BinaryIO
from uuid import uuid4

from convoke.domain.errors import UnavailableError
from convoke.domain.media import Media
from convoke.embedded.data_format import MEMORY

UNFINISHED = ".unfinished"
"""The suffix of a file whose upload is not complete."""


def folder_of(data: str) -> str:
    """Return the path of the media folder of a data file. Symbolic links to one data file share one folder."""
    return f"{os.path.realpath(data)}.media"


def _temporary_folder() -> str:
    return f"{tempfile.gettempdir()}/convoke-media-{uuid4().hex}"


class MediaFolder:
    """Implements `MediaStore`. The file of a media is `{account SID}/{media SID}`. No other name is in a path."""

    def __init__(self, data: str) -> None:
        """`data` is the path of the data file. With `:memory:`, the folder exists until `close`.

        The folder is created with the first media.
        """
        self._is_temporary = data == MEMORY
        self._folder = Path(_temporary_folder() if self._is_temporary else folder_of(data))

    def writer(self, account_sid: str, media_sid: str) -> MediaFile:
        return MediaFile(self._path(account_sid, media_sid))

    def open(self, account_sid: str, media_sid: str) -> BinaryIO:
        return self._path(account_sid, media_sid).open("rb")

    def link(self, media: Media, lifetime: timedelta) -> str | None:  # noqa: ARG002 - the API serves the content
        return None

    def delete(self, account_sid: str, media_sid: str) -> None:
        path = self._path(account_sid, media_sid)
        path.unlink(missing_ok=True)
        _unfinished(path).unlink(missing_ok=True)

    def files(self) -> Iterator[Path]:
        """Return the files of all media, including incomplete ones."""
        return self._folder.glob("*/*")

    def clear(self) -> None:
        """Remove everything from the folder."""
        shutil.rmtree(self._folder, ignore_errors=True)

    def close(self) -> None:
        if self._is_temporary:
            self.clear()

    def _path(self, account_sid: str, media_sid: str) -> Path:
        return self._folder / account_sid / media_sid


class MediaFile:
    """Implements `MediaWriter`. The file gets its name only when its content is on the disk."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._file: BinaryIO | None = None

    def write(self, data: bytes) -> None:
        with _unavailable():
            self._opened().write(data)

    def commit(self) -> None:
        with _unavailable():
            file = self._opened()
            file.flush()
            os.fsync(file.fileno())
            file.close()
            _unfinished(self._path).rename(self._path)
            _sync_folder(self._path.parent)

    def abort(self) -> None:
        if self._file is not None:
            with suppress(OSError):
                self._file.close()
            _unfinished(self._path).unlink(missing_ok=True)

    def _opened(self) -> BinaryIO:
        if self._file is None:
            _create_folder(self._path.parent)
            descriptor = os.open(_unfinished(self._path), os.O_CREAT | os.O_TRUNC | os.O_WRONLY, 0o600)
            self._file = os.fdopen(descriptor, "wb")
        return self._file


def _create_folder(folder: Path) -> None:
    """Create the media folder and the folder of an account in it, durably. Only the owner can read them."""
    for each in (folder.parent, folder):
        if not each.exists():
            each.mkdir(mode=0o700, exist_ok=True)
            _sync_folder(each.parent)


def _sync_folder(folder: Path) -> None:
    """Write the names of the files in a folder to the disk."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _unfinished(path: Path) -> Path:
    return path.with_name(path.name + UNFINISHED)


@contextmanager
def _unavailable() -> Iterator[None]:
    """Raise UnavailableError if the file cannot be written, for example because the disk is full."""
    try:
        yield
    except OSError as error:
        raise UnavailableError from error
