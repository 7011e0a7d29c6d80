"""Store the content of media as files in a folder beside the data file."""

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
    """Return the path of the media folder that belongs to a data file.

    A data file and the symbolic links to this data file have the same media folder.
    """
    return f"{os.path.realpath(data)}.media"


def _temporary_folder() -> str:
    return f"{tempfile.gettempdir()}/convoke-media-{uuid4().hex}"


class MediaFolder:
    """Implements `MediaStore`. The content of a media is in the file `{account SID}/{media SID}`.

    The path contains no other name, such as a file name that a client has sent.
    """

    def __init__(self, data: str) -> None:
        """Determine the path of the folder. The first write of a media creates the folder.

        `data` is the path of the data file. If `data` is `:memory:`, `close` removes the folder.
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
        """Return the files of all media, including the files of incomplete uploads."""
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
    """Implements `MediaWriter`.

    Before `commit`, the file name has the suffix `UNFINISHED`. `commit` first syncs the content to the disk, and then
    renames the file.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._file: BinaryIO | None = None

    def write(self, data: bytes) -> None:
        with _unavailable():
            self._opened().write(data)

    def commit(self, content_type: str) -> None:  # noqa: ARG002 - the record of the media has the type
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
    """Create `folder`, which is the folder of an account, and the media folder that contains `folder`.

    Only the owner can read the folders. Each new folder is synced to the disk.
    """
    for each in (folder.parent, folder):
        if not each.exists():
            each.mkdir(mode=0o700, exist_ok=True)
            _sync_folder(each.parent)


def _sync_folder(folder: Path) -> None:
    """Sync a folder to the disk, so that the names of its files survive a power failure."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _unfinished(path: Path) -> Path:
    return path.with_name(path.name + UNFINISHED)


@contextmanager
def _unavailable() -> Iterator[None]:
    """Raise UnavailableError if the `with` block raises OSError, for example because the disk is full."""
    try:
        yield
    except OSError as error:
        raise UnavailableError from error
