"""Store the content of media in a folder beside the data file. If the data is in memory, use a temporary folder."""

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

from convoke.domain.media import Media
from convoke.embedded.data_format import MEMORY
from convoke.embedded.failures import StorageFailures

UNFINISHED = ".unfinished"
"""The suffix in the name of a file whose upload is not complete."""


def folder_of(data: str) -> str:
    """Return the path of the media folder for a data file.

    A data file and a symbolic link to it have the same media folder.
    """
    return f"{os.path.realpath(data)}.media"


def _temporary_folder() -> str:
    return f"{tempfile.gettempdir()}/convoke-media-{uuid4().hex}"


class MediaFolder:
    """Implements `MediaStore`. Each media is stored in the file `{account SID}/{media SID}`.

    The path never contains a name that a client chose.
    """

    def __init__(self, data: str) -> None:
        """Determine the path of the folder. The first upload creates the folder.

        `data` is the path of the data file. If `data` is `:memory:`, `close` removes the folder.
        """
        self._is_temporary = data == MEMORY
        self._folder = Path(_temporary_folder() if self._is_temporary else folder_of(data))
        self._failures = StorageFailures("media folder")

    def writer(self, account_sid: str, media_sid: str) -> MediaFile:
        return MediaFile(self._path(account_sid, media_sid), self._failures)

    def open(self, account_sid: str, media_sid: str) -> BinaryIO:
        return self._path(account_sid, media_sid).open("rb")

    def link(self, media: Media, lifetime: timedelta) -> str | None:  # noqa: ARG002 - the API serves the content
        return None

    def delete(self, account_sid: str, media_sid: str) -> None:
        path = self._path(account_sid, media_sid)
        path.unlink(missing_ok=True)
        _unfinished(path).unlink(missing_ok=True)

    def files(self) -> Iterator[Path]:
        """Return all files in the folder, including the files of incomplete uploads."""
        return self._folder.glob("*/*")

    def clear(self) -> None:
        """Remove the folder with all files."""
        shutil.rmtree(self._folder, ignore_errors=True)

    def close(self) -> None:
        if self._is_temporary:
            self.clear()

    def _path(self, account_sid: str, media_sid: str) -> Path:
        return self._folder / account_sid / media_sid


class MediaFile:
    """Implements `MediaWriter`.

    Until `commit`, the file name has the suffix `UNFINISHED`. `commit` writes the content to the disk (fsync), and then
    renames the file.
    """

    def __init__(self, path: Path, failures: StorageFailures) -> None:
        self._path = path
        self._failures = failures
        self._file: BinaryIO | None = None

    def write(self, data: bytes) -> None:
        with self._unavailable():
            self._opened().write(data)

    def commit(self, content_type: str) -> None:  # noqa: ARG002 - the record of the media has the type
        with self._unavailable():
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

    @contextmanager
    def _unavailable(self) -> Iterator[None]:
        """Log and raise UnavailableError if the `with` block raises OSError, for example because the disk is full."""
        try:
            yield
        except OSError as error:
            raise self._failures.unavailable(error) from error

    def _opened(self) -> BinaryIO:
        if self._file is None:
            _create_folder(self._path.parent)
            descriptor = os.open(_unfinished(self._path), os.O_CREAT | os.O_TRUNC | os.O_WRONLY, 0o600)
            self._file = os.fdopen(descriptor, "wb")
        return self._file


def _create_folder(folder: Path) -> None:
    """Create the folder of an account, and the media folder above it. Only the owner can read the folders.

    fsync makes each new folder survive a power failure.
    """
    for each in (folder.parent, folder):
        if not each.exists():
            each.mkdir(mode=0o700, exist_ok=True)
            _sync_folder(each.parent)


def _sync_folder(folder: Path) -> None:
    """Call fsync for a folder, so that the names of its files survive a power failure."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _unfinished(path: Path) -> Path:
    return path.with_name(path.name + UNFINISHED)
