"""Upload media to an instance."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlencode

from tests.support.instances import Instance

PICTURE = b"\x89PNG\r\n\x1a\n" + bytes(range(256))
"""The content of a media upload. Some of its bytes are not valid UTF-8."""


def media_path(instance: Instance, *parts: str) -> str:
    """Return the API path of a media resource in the default service of the account."""
    return "/".join((f"/v1/Services/{instance.account.default_chat_service_sid}/Media", *parts))


def upload(
    instance: Instance, content: bytes = PICTURE, content_type: str = "image/png", **query: str
) -> dict[str, Any]:
    """Upload a file with the account's credentials. Return the body of the response."""
    path = f"{media_path(instance)}?{urlencode(query)}"
    answered = instance.call("POST", path, content, {"Content-Type": content_type})
    assert answered.status == 201, answered.text
    body: dict[str, Any] = answered.body
    return body


def media_sid(instance: Instance, **given: Any) -> str:
    """Upload a file. Return the media SID."""
    return str(upload(instance, **given)["sid"])
