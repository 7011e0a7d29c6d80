"""The folder and the S3 bucket fulfil the contract of the `MediaStore` port in the same way.

Further tests check what only one of the two has: the links and metadata of S3, and the files of the folder.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from secrets import token_hex
from typing import Any
from urllib.parse import parse_qs, urlsplit
from urllib.request import urlopen

import pytest
from botocore.session import Session
from moto import mock_aws

from convoke.aws.edges import AwsEdges
from convoke.aws.media_bucket import MediaBucket
from convoke.domain.errors import UnavailableError
from convoke.domain.media import Category, Content, Media
from convoke.embedded.media_folder import MediaFolder
from convoke.operations.ports import MediaStore
from tests.support.aws import REGION, new_session, shared_session

ACCOUNT, OTHER = "AC" + "0" * 32, "AC" + "1" * 32
SID = "ME" + "0" * 32
BUCKET = "media"
FIVE_MINUTES = timedelta(minutes=5)


@contextmanager
def folder(request: pytest.FixtureRequest) -> Iterator[MediaStore]:
    yield MediaFolder(str(request.getfixturevalue("tmp_path") / "convoke.db"))


@contextmanager
def temporary_folder(_: pytest.FixtureRequest) -> Iterator[MediaStore]:
    store = MediaFolder(":memory:")
    yield store
    store.close()


@contextmanager
def bucket_on_moto(_: pytest.FixtureRequest) -> Iterator[MediaStore]:
    with mock_aws():
        yield bucket_of(client_of(shared_session()))


@contextmanager
def bucket_on_ministack(request: pytest.FixtureRequest) -> Iterator[MediaStore]:
    yield request.getfixturevalue("ministack_bucket")


def client_of(session: Session) -> Any:
    """Return an S3 client that is configured like the client of a deployment."""
    edges = AwsEdges({})
    vars(edges)["_session"] = session
    return edges._client("s3")


def bucket_of(client: Any) -> MediaBucket:
    name = f"media-{token_hex(4)}"
    client.create_bucket(Bucket=name)
    return MediaBucket(lambda: client, name)


@pytest.fixture
def ministack_bucket(ministack_url: str, monkeypatch: pytest.MonkeyPatch) -> MediaBucket:
    monkeypatch.setenv("AWS_ENDPOINT_URL", ministack_url)
    session = new_session()
    session.set_credentials("test", "test")  # MiniStack checks the signature of each link with this key.
    return bucket_of(client_of(session))


STORES: dict[str, Callable[[pytest.FixtureRequest], AbstractContextManager[MediaStore]]] = {
    "folder": folder,
    "temporary-folder": temporary_folder,
    "s3-on-moto": bucket_on_moto,
    "s3-on-ministack": bucket_on_ministack,
}

MARKS = {"s3-on-ministack": pytest.mark.xdist_group("ministack")}


@pytest.fixture(params=[pytest.param(name, marks=MARKS.get(name, ())) for name in STORES])
def store(request: pytest.FixtureRequest) -> Iterator[MediaStore]:
    with STORES[request.param](request) as made:
        yield made


def put(store: MediaStore, *parts: bytes, account_sid: str = ACCOUNT) -> None:
    writer = store.writer(account_sid, SID)
    for part in parts:
        writer.write(part)
    writer.commit("image/png")


def read(store: MediaStore, account_sid: str = ACCOUNT) -> bytes | None:
    try:
        file = store.open(account_sid, SID)
    except FileNotFoundError:
        return None
    content = file.read()
    file.close()
    return content


@pytest.mark.parametrize("parts", [[], [b""], [b"ab", b"", b"\x00\xff"]])
def test_content_is_stored_in_parts(store: MediaStore, parts: list[bytes]) -> None:
    put(store, *parts)
    assert read(store) == b"".join(parts)


def test_nobody_reads_content_before_commit(store: MediaStore) -> None:
    assert read(store) is None
    writer = store.writer(ACCOUNT, SID)
    writer.write(b"new")
    assert read(store) is None
    writer.commit("image/png")
    assert read(store) == b"new"


def test_aborted_content_leaves_nothing(store: MediaStore) -> None:
    writer = store.writer(ACCOUNT, SID)
    writer.abort()
    writer.write(b"x")
    writer.abort()
    assert read(store) is None
    put(store, b"new")
    writer.abort()
    assert read(store) == b"new"


def test_commit_replaces_older_content(store: MediaStore) -> None:
    put(store, b"a longer content")
    put(store, b"new")
    assert read(store) == b"new"


def test_accounts_never_share_content(store: MediaStore) -> None:
    put(store, b"ours")
    assert read(store, OTHER) is None
    put(store, b"theirs", account_sid=OTHER)
    store.delete(OTHER, SID)
    assert (read(store), read(store, OTHER)) == (b"ours", None)


def test_deletion_can_be_repeated(store: MediaStore) -> None:
    put(store, b"x")
    for _ in range(2):
        store.delete(ACCOUNT, SID)
        assert read(store) is None


# Links of S3


def media(filename: str | None = "a b.png", content_type: str = "image/png") -> Media:
    now = datetime.now(UTC)
    return Media(
        account_sid=ACCOUNT,
        chat_service_sid="IS" + "0" * 32,
        sid=SID,
        category=Category.MEDIA,
        content=Content(content_type=content_type, filename=filename, size=1),
        date_created=now,
        date_updated=now,
    )


def test_link_of_s3_expires_and_downloads_as_an_attachment() -> None:
    with mock_aws():
        bucket = bucket_of(client_of(shared_session()))
        link = bucket.link(media(), FIVE_MINUTES)
        assert link is not None
        query = parse_qs(urlsplit(link).query)
        assert urlsplit(link).path.endswith(f"{ACCOUNT}/{SID}")
        assert query["response-content-type"] == ["image/png"]
        assert query["response-content-disposition"] == ["attachment; filename*=UTF-8''a%20b.png"]
        # Signature version 4 limits the lifetime of a link to 7 days. A link with an older signature version could be
        # valid for years.
        assert query["X-Amz-Expires"] == ["300"]
        assert query["X-Amz-Algorithm"] == ["AWS4-HMAC-SHA256"]
        page = bucket.link(media(content_type="text/html"), FIVE_MINUTES)
        assert "response-content-type=application%2Foctet-stream" in str(page)


def test_object_of_s3_has_the_type_and_the_uri_of_its_media() -> None:
    with mock_aws():
        client = client_of(shared_session())
        bucket = bucket_of(client)
        put(bucket, b"content")
        name, _, key = bucket.uri(media()).removeprefix("s3://").partition("/")
        found = client.get_object(Bucket=name, Key=key)
        assert (found["Body"].read(), found["ContentType"]) == (b"content", "image/png")


@pytest.mark.xdist_group("ministack")
def test_link_of_s3_opens_the_content(ministack_bucket: MediaBucket) -> None:
    put(ministack_bucket, b"content")
    link = ministack_bucket.link(media(), FIVE_MINUTES)
    assert link is not None
    with urlopen(link) as answered:
        assert answered.read() == b"content"


def test_region_of_the_bucket_is_in_the_link() -> None:
    link = bucket_link_in("eu-central-1")
    assert urlsplit(link).netloc == f"{BUCKET}.s3.eu-central-1.amazonaws.com"


def bucket_link_in(region: str) -> str:
    session = new_session()
    session.set_credentials("testing", "testing")
    session.set_config_variable("region", region)
    link = MediaBucket(lambda: client_of(session), BUCKET).link(media(), FIVE_MINUTES)
    assert link is not None
    assert region != REGION
    return link


# The folder


def test_only_the_owner_can_read_the_folder(tmp_path: Path) -> None:
    data = tmp_path / "convoke.db"
    put(MediaFolder(str(data)), b"x")
    folder = Path(f"{data}.media")
    assert {stat.S_IMODE(path.stat().st_mode) for path in (folder, folder / ACCOUNT)} == {0o700}
    assert stat.S_IMODE((folder / ACCOUNT / SID).stat().st_mode) == 0o600


def test_links_to_a_data_file_share_its_folder(tmp_path: Path) -> None:
    (tmp_path / "convoke.db").touch()
    (tmp_path / "link.db").symlink_to(tmp_path / "convoke.db")
    put(MediaFolder(str(tmp_path / "convoke.db")), b"x")
    assert read(MediaFolder(str(tmp_path / "link.db"))) == b"x"


def test_deletion_removes_what_an_interrupted_upload_has_left(tmp_path: Path) -> None:
    store = MediaFolder(str(tmp_path / "convoke.db"))
    interrupted = store.writer(ACCOUNT, SID)
    interrupted.write(b"x" * 100_000)
    assert len([*store.files()]) == 1
    store.delete(ACCOUNT, SID)
    assert [*store.files()] == []
    interrupted.abort()


def test_folder_without_media_is_not_created(tmp_path: Path) -> None:
    store = MediaFolder(str(tmp_path / "convoke.db"))
    assert read(store) is None
    store.delete(ACCOUNT, SID)
    store.clear()
    assert [*tmp_path.iterdir()] == []


def test_full_disk_is_temporarily_unavailable_and_logged(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    writer = MediaFolder(str(tmp_path / "convoke.db")).writer(ACCOUNT, SID)
    writer.write(b"x")

    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(UnavailableError):
        writer.commit("image/png")
    writer.abort()
    assert [record.getMessage() for record in caplog.records] == [
        "the media folder cannot be used: [Errno 28] No space left on device"
    ]
    assert read(MediaFolder(str(tmp_path / "convoke.db"))) is None


def test_temporary_folder_is_removed_on_close() -> None:
    store = MediaFolder(":memory:")
    put(store, b"x")
    (path,) = store.files()
    store.close()
    assert not path.parent.parent.exists()
