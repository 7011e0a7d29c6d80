"""Make the links from which a carrier downloads the media of a copy. See docs/behaviour/media.md."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from convoke.domain.carriers import CopyMedia
from convoke.domain.media import LINK_LIFETIME, Media
from convoke.lean_dataclass import lean_dataclass
from convoke.operations.media import MediaOperations
from convoke.operations.ports import MediaStore
from convoke.storage.media import MediaRepository


@lean_dataclass
class MediaLinks:
    media: MediaRepository
    store: MediaStore
    operations: Callable[[], MediaOperations]
    """Returns the operations that make a link to the API. Called only if the media store cannot make links itself."""
    public_url: str | None

    def __call__(self, account_sid: str, media_sids: Sequence[str]) -> list[CopyMedia]:
        """Return the media with links that expire after five minutes. One read fetches the records of all media.

        The result omits media that were deleted, and media whose content Convoke does not have.
        """
        found = self.media.fetch_many(account_sid, media_sids)
        existing = [found[sid] for sid in media_sids if sid in found]
        return [CopyMedia(each, self._link(each)) for each in existing if each.content and not each.date_removed]

    def _link(self, media: Media) -> str:
        return self.store.link(media, LINK_LIFETIME) or self.operations().link(media, self.public_url or "")
