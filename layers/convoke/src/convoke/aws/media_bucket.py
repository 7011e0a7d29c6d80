"""Store the content of media in an S3 bucket."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from functools import cached_property
from typing import TYPE_CHECKING, BinaryIO, cast

from botocore.exceptions import ClientError

from convoke.domain.media import Media

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client


class MediaBucket:
    """Implements `MediaStore`. The key of an object is `{account SID}/{media SID}`."""

    def __init__(self, make_client: Callable[[], S3Client], bucket: str) -> None:
        """Create the store. `make_client` creates the S3 client at the first use of the bucket.

        Creating the client earlier would slow the cold start.
        """
        self._make_client = make_client
        self._bucket = bucket

    @cached_property
    def _client(self) -> S3Client:
        return self._make_client()

    def writer(self, account_sid: str, media_sid: str) -> MediaObject:
        return MediaObject(self._client, self._bucket, _key(account_sid, media_sid))

    def open(self, account_sid: str, media_sid: str) -> BinaryIO:
        try:
            found = self._client.get_object(Bucket=self._bucket, Key=_key(account_sid, media_sid))
        except ClientError as error:
            if error.response["Error"]["Code"] == "NoSuchKey":
                raise FileNotFoundError from error
            raise
        return cast("BinaryIO", found["Body"])

    def link(self, media: Media, lifetime: timedelta) -> str | None:
        parameters = {
            "Bucket": self._bucket,
            "Key": _key(media.account_sid, media.sid),
            "ResponseContentType": media.shown_type,
            "ResponseContentDisposition": media.disposition,
            "ResponseCacheControl": "private, no-store",
        }
        seconds = int(lifetime.total_seconds())
        return self._client.generate_presigned_url("get_object", Params=parameters, ExpiresIn=seconds)

    def uri(self, media: Media) -> str:
        """Return the S3 URI of the content, for a call to an AWS service that reads the content from S3.

        The service has the permissions of the function that makes the call.
        """
        return f"s3://{self._bucket}/{_key(media.account_sid, media.sid)}"

    def delete(self, account_sid: str, media_sid: str) -> None:
        self._client.delete_object(Bucket=self._bucket, Key=_key(account_sid, media_sid))


class MediaObject:
    """Implements `MediaWriter`. The whole content stays in memory until `commit`, because media on AWS are small."""

    def __init__(self, client: S3Client, bucket: str, key: str) -> None:
        self._client = client
        self._bucket = bucket
        self._key = key
        self._parts: list[bytes] = []

    def write(self, data: bytes) -> None:
        self._parts.append(data)

    def commit(self, content_type: str) -> None:
        # Store the content type, because AWS End User Messaging reads the object from S3 and needs its type.
        self._client.put_object(
            Bucket=self._bucket, Key=self._key, Body=b"".join(self._parts), ContentType=content_type
        )

    def abort(self) -> None:
        self._parts.clear()


def _key(account_sid: str, media_sid: str) -> str:
    return f"{account_sid}/{media_sid}"
