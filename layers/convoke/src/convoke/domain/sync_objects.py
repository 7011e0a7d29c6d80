"""The Sync objects of chat clients: their names, their SIDs, and what a change touches in them.

No Sync object is stored. operations/sync.py derives the content of each object from the items of the table when a
client reads the object. See docs/decisions/0155-sync-objects-are-projections.md.
"""

from __future__ import annotations

from enum import StrEnum
from typing import NamedTuple

from convoke.domain.sids import Prefix, parse_sid
from convoke.domain.users import user_sid


class ObjectType(StrEnum):
    MAP = "map"
    LIST = "list"
    DOCUMENT = "document"


class ObjectKind(StrEnum):
    """The kinds of Sync objects. The value is the last part of the name of an object."""

    CHANNEL = "channel"
    """A document with the fields of a conversation. Its name is `{CH}.channel`."""
    MESSAGES = "messages"
    """The list of the messages of a conversation. Its name is `{CH}.messages`."""
    ROSTER = "roster"
    """The map of the participants of a conversation, by participant SID. Its name is `{CH}.roster`."""
    CHANNELS = "channels"
    """The map of the conversations of a User, by conversation SID. Its name is `{identity}.channels`."""
    INFO = "info"
    """The map of the fields of a User. Its name is `{US}.info`."""

    @property
    def type(self) -> ObjectType:
        return TYPES.get(self, ObjectType.MAP)

    @property
    def owner(self) -> Prefix:
        """The prefix of the SID of the conversation or of the User that an object of this kind belongs to."""
        return Prefix.USER if self in (ObjectKind.CHANNELS, ObjectKind.INFO) else Prefix.CONVERSATION


TYPES = {ObjectKind.CHANNEL: ObjectType.DOCUMENT, ObjectKind.MESSAGES: ObjectType.LIST}
"""The types of the kinds that are no maps."""

SID_PREFIXES = {
    ObjectKind.CHANNEL: "ET",
    ObjectKind.MESSAGES: "ES",
    ObjectKind.ROSTER: "MP",
    ObjectKind.CHANNELS: "MC",
    ObjectKind.INFO: "MI",
}
"""The prefix of the SID of an object. The digits are the digits of its owner's SID.

At Twilio, every map has the prefix `MP`. Here each kind needs a prefix of its own, so that the SID of an object tells
the kind of the object. Clients do not look into these SIDs.
"""

KINDS = {prefix: kind for kind, prefix in SID_PREFIXES.items()}


class SyncObject(NamedTuple):
    kind: ObjectKind
    owner_sid: str
    """The SID of the conversation or of the User that the object belongs to."""

    @property
    def sid(self) -> str:
        return SID_PREFIXES[self.kind] + self.owner_sid[2:]

    @property
    def conversation_sid(self) -> str | None:
        """The SID of the conversation that the object belongs to. None if the object belongs to a User."""
        return self.owner_sid if self.kind.owner is Prefix.CONVERSATION else None


def object_name(kind: ObjectKind, owner: str) -> str:
    """Return the name of an object. `owner` is the identity for a map of conversations, and otherwise a SID."""
    return f"{owner}.{kind}"


def object_of_sid(sid: str) -> SyncObject | None:
    """Return the object with a SID, or None if no object can have this SID."""
    kind = KINDS.get(sid[:2])
    owner_sid = kind and parse_sid(kind.owner + sid[2:], kind.owner)
    return SyncObject(kind, owner_sid) if kind and owner_sid else None


def find_object(chat_service_sid: str, name_or_sid: str) -> SyncObject | None:
    """Return the object of a service with a name or a SID, or None if no object can have this name or SID."""
    owner, _, suffix = name_or_sid.rpartition(".")
    if not owner:
        return object_of_sid(name_or_sid)
    try:
        kind = ObjectKind(suffix)
    except ValueError:
        return None
    if kind is ObjectKind.CHANNELS:
        return SyncObject(kind, user_sid(chat_service_sid, owner))
    owner_sid = parse_sid(owner, kind.owner)
    return SyncObject(kind, owner_sid) if owner_sid else None


class Action(StrEnum):
    """What happened to an item of an object, or to a document."""

    ADDED = "added"
    UPDATED = "updated"
    REMOVED = "removed"


class Touch(NamedTuple):
    """An item of an object that a change touches."""

    object: SyncObject
    action: Action
    key: str | None = None
    """The key or the index of the item. None means the document, or the whole object."""
    identity: str | None = None
    """The identity of the User whose map of conversations is touched."""


NAME = "friendlyName"
ATTRIBUTES = "attributes"
REACHABILITY = "reachability"
"""The keys of the items in the map of a User."""
