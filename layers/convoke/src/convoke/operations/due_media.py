"""Remove media that no message contains, and media that are marked as deleted. See docs/behaviour/media.md#lifetime."""

from __future__ import annotations

from convoke.domain.instants import Clock
from convoke.lean_dataclass import lean_dataclass
from convoke.operations.ports import MediaStore
from convoke.operations.sweeper import GoOn
from convoke.storage import keys
from convoke.storage.media import MediaRepository
from convoke.storage.table import Key


@lean_dataclass
class DueMedia:
    """Implements `Process` of operations/sweeper.py for media."""

    media: MediaRepository
    store: MediaStore
    now: Clock

    def __call__(self, key: Key, _: GoOn) -> None:
        """Mark an unused media as deleted, or remove a media that is marked as deleted.

        The sweep that marks a media does not remove the media. A later sweep removes the content, and then the record.
        After the mark, no new message can contain the media. If the process crashes after it has removed the content,
        the sweeper finds the record and tries again.
        """
        media = self.media.fetch_with_tombstone(*keys.sids_of_media(key))
        if media is None:
            return
        if media.date_removed:
            self.store.delete(media.account_sid, media.sid)
            self.media.erase(media)
        elif media.due_at and media.due_at <= self.now():
            self.media.remove_unused(media, self.now())
