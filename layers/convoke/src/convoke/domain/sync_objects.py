"""The Sync objects that chat clients read: their names and SIDs, and the effects of changes on them.

Convoke stores no Sync objects. When a client reads an object, operations/sync.py derives the content from the items of
the table. See docs/decisions/0155-sync-objects-are-projections.md.
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
    """The kinds of Sync objects. The value is the last part of an object's name.

    In the names below, `{CH}` is a conversation SID and `{US}` is a User SID.
    """

    CHANNEL = "channel"
    """The document with the fields of a conversation. The object's name is `{CH}.channel`."""
    MESSAGES = "messages"
    """The list of the messages of a conversation. The object's name is `{CH}.messages`."""
    ROSTER = "roster"
    """Maps participant SIDs to the participants of a conversation. The object's name is `{CH}.roster`."""
    CHANNELS = "channels"
    """Maps conversation SIDs to the conversations of a User. The object's name is `{identity}.channels`."""
    INFO = "info"
    """The map of the fields of a User. The object's name is `{US}.info`."""

    @property
    def type(self) -> ObjectType:
        return TYPES.get(self, ObjectType.MAP)

    @property
    def owner(self) -> Prefix:
        """The SID prefix of the object's owner, which is a conversation or a User."""
        return Prefix.USER if self in (ObjectKind.CHANNELS, ObjectKind.INFO) else Prefix.CONVERSATION


TYPES = {ObjectKind.CHANNEL: ObjectType.DOCUMENT, ObjectKind.MESSAGES: ObjectType.LIST}
"""Maps kinds to types. A kind that is not in this mapping has the type `map`."""

SID_PREFIXES = {
    ObjectKind.CHANNEL: "ET",
    ObjectKind.MESSAGES: "ES",
    ObjectKind.ROSTER: "MP",
    ObjectKind.CHANNELS: "MC",
    ObjectKind.INFO: "MI",
}
"""Maps each kind to the prefix of an object's SID. The digits of the SID are the digits of the owner's SID.

Convoke determines the kind of an object from the prefix, so each kind has its own prefix. At Twilio, all maps have the
prefix `MP`. Clients do not notice this difference, because they do not interpret these SIDs.
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
    """Return the name of an object. `owner` is the SID of the owner. If `kind` is CHANNELS, `owner` is an identity."""
    return f"{owner}.{kind}"


def object_of_sid(sid: str) -> SyncObject | None:
    """Return the object that has this SID, or None if the SID has a wrong form."""
    kind = KINDS.get(sid[:2])
    owner_sid = kind and parse_sid(kind.owner + sid[2:], kind.owner)
    return SyncObject(kind, owner_sid) if kind and owner_sid else None


def find_object(chat_service_sid: str, name_or_sid: str) -> SyncObject | None:
    """Return the object with this name or SID in a service, or None if the name or SID has a wrong form.

    The function does not check whether the object exists.
    """
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
    """What a change does to an item of an object, or to a whole object."""

    ADDED = "added"
    UPDATED = "updated"
    REMOVED = "removed"


class Touch(NamedTuple):
    """The effect of a change on one item of an object, or on the whole object."""

    object: SyncObject
    action: Action
    key: str | None = None
    """The key of the item in a map, or its index in a list. None if the change affects the whole object."""
    identity: str | None = None
    """The identity of the User if the object has the kind CHANNELS. Otherwise None."""


NAME = "friendlyName"
ATTRIBUTES = "attributes"
REACHABILITY = "reachability"
"""NAME, ATTRIBUTES and REACHABILITY are the keys of the items in the map of a User's fields."""
