"""Make the links from which a carrier downloads the media of a copy. See docs/behaviour/media.md."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from convoke.domain.media import LINK_LIFETIME
from convoke.operations.media import MediaOperations
from convoke.operations.ports import MediaStore
from convoke.storage.media import MediaRepository


@dataclass(frozen=True, slots=True)
class MediaLinks:
    media: MediaRepository
    store: MediaStore
    operations: Callable[[], MediaOperations]
    """Returns the operations that make a link to the API. Called only if the media store cannot make links."""
    public_url: str | None

    def __call__(self, account_sid: str, media_sid: str) -> str | None:
        """Return a link that expires after five minutes, or None if Convoke does not have the content.

        The link is relative if the API serves the content and the public URL of the API is not configured. Only the
        simulator can use a relative link.
        """
        media = self.media.fetch(account_sid, media_sid)
        if media is None or media.content is None:
            return None
        return self.store.link(media, LINK_LIFETIME) or self.operations().link(media, self.public_url or "")
