"""The media of messages: pictures and other files.

See docs/behaviour/messages.md#media.
"""

from __future__ import annotations

from convoke.domain.model import Model


class MessageMedia(Model):
    """One media of a message. All fields except the SID are None if Convoke does not have the media."""

    sid: str
    content_type: str | None = None
    size: int | None = None
    """The number of bytes."""
    filename: str | None = None
    category: str | None = None
