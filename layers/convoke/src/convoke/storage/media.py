"""Store the records of media. The media store contains the content of media. See docs/behaviour/media.md."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from contextlib import suppress
from datetime import datetime

from convoke.domain.instants import to_milliseconds
from convoke.domain.media import Content, Media
from convoke.domain.messages import Message
from convoke.lean_dataclass import lean_dataclass
from convoke.storage import items, keys
from convoke.storage.table import (
    Action,
    And,
    Condition,
    ConditionFailedError,
    Delete,
    Exists,
    Item,
    NotExists,
    Put,
    Remove,
    Set,
    Table,
    Update,
)

IS_KEPT = And((Exists("pk"), NotExists("date_removed")))
IS_UNUSED = And((IS_KEPT, NotExists("message_sid")))


@lean_dataclass
class MediaRepository:
    table: Table

    def create(self, media: Media) -> None:
        self.table.transact([Put(items.media_item(media), NotExists("pk"))])

    def complete(self, media: Media, content: Content) -> bool:
        """Store the type, the filename and the size of the uploaded content.

        Returns False if the media was deleted, or if a message already contains the media.
        """
        return self._try_update(media.account_sid, media.sid, [Set("content", _dumped(content))], IS_UNUSED)

    def fetch(self, account_sid: str, media_sid: str) -> Media | None:
        """Return a media, or None if the media does not exist or was deleted."""
        stored = self.table.get(keys.media(account_sid, media_sid))
        media = items.to_resource(Media, stored) if stored else None
        return None if media is None or media.date_removed else media

    def fetch_many(self, account_sid: str, media_sids: Sequence[str]) -> dict[str, Media]:
        """Map the SID of each existing media to the media. The result includes media that are marked as deleted."""
        wanted = {keys.media(account_sid, sid): sid for sid in media_sids}
        found = self.table.get_many([*wanted]) if wanted else {}
        return {wanted[key]: items.to_resource(Media, stored) for key, stored in found.items()}

    def fetch_with_tombstone(self, account_sid: str, media_sid: str) -> Media | None:
        """Return a media. Unlike `fetch`, this method also returns a media that is marked as deleted."""
        return self.fetch_many(account_sid, [media_sid]).get(media_sid)

    def remove_unused(self, media: Media, at: datetime) -> None:
        """Mark a media as deleted. Does nothing if a message contains the media, or if the media is already deleted."""
        self._try_update(media.account_sid, media.sid, _removal(media.sid, at), IS_UNUSED)

    def erase(self, media: Media) -> None:
        """Delete the record of a media. The caller must first remove the content of the media."""
        self.table.transact([Delete(keys.media(media.account_sid, media.sid))])

    def _try_update(self, account_sid: str, media_sid: str, actions: Sequence[Action], condition: Condition) -> bool:
        try:
            self.table.update(Update(keys.media(account_sid, media_sid), tuple(actions), condition))
        except ConditionFailedError:
            return False
        return True


def use_writes(message: Message, media: Iterable[Media]) -> list[Update]:
    """Return the writes that record that a new message contains the media.

    The writes also remove the media from the index `due`. A write fails if the media was deleted or is already in
    another message.
    """
    actions = (
        Set("conversation_sid", message.conversation_sid),
        Set("message_sid", message.sid),
        Remove(keys.DUE.partition),
        Remove(keys.DUE.sort),
    )
    return [Update(keys.media(each.account_sid, each.sid), actions, IS_UNUSED) for each in media]


def removal_writes(media: Iterable[Media], at: datetime) -> list[Update]:
    """Return the writes that mark media as deleted. The sweeper later removes the content.

    The caller puts these writes into the transaction that deletes the message.
    """
    return [Update(keys.media(each.account_sid, each.sid), _removal(each.sid, at), Exists("pk")) for each in media]


def remove_media_of(table: Table, message: Message, at: datetime) -> None:
    """Mark the media of a message as deleted. Skip each media that Convoke does not store."""
    for each in message.media:
        with suppress(ConditionFailedError):
            table.update(Update(keys.media(message.account_sid, each.sid), _removal(each.sid, at), Exists("pk")))


def _removal(media_sid: str, at: datetime) -> tuple[Action, ...]:
    due = keys.due_attributes(media_sid, at)
    return (Set("date_removed", to_milliseconds(at)), *(Set(name, value) for name, value in due.items()))


def _dumped(content: Content) -> Item:
    return content.model_dump(mode="json", exclude_none=True)
