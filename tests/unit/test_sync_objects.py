"""Each Sync object has a name and a SID (domain/sync_objects.py).

The kind and the owner of an object follow from the SID. In a given service, they also follow from the name.
"""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from convoke.domain.sids import Prefix
from convoke.domain.sync_objects import (
    ObjectKind,
    ObjectType,
    SyncObject,
    find_object,
    object_name,
    object_of_sid,
)
from convoke.domain.users import user_sid

SERVICE = "IS" + "0" * 32
DIGITS = st.text("0123456789abcdef", min_size=32, max_size=32)


@given(st.sampled_from(ObjectKind), DIGITS)
def test_sid_of_an_object_tells_the_object(kind: ObjectKind, digits: str) -> None:
    found = SyncObject(kind, kind.owner + digits)
    assert re.fullmatch("[A-Z]{2}[0-9a-f]{32}", found.sid)
    assert object_of_sid(found.sid) == found
    assert find_object(SERVICE, found.sid) == found
    assert find_object(SERVICE, found.sid[:2] + found.sid[2:].upper()) == found


@given(DIGITS)
def test_objects_of_one_conversation_or_user_have_different_sids(digits: str) -> None:
    assert len({SyncObject(kind, kind.owner + digits).sid for kind in ObjectKind}) == len(ObjectKind)


@given(st.text(min_size=1), DIGITS)
def test_names_of_objects(identity: str, digits: str) -> None:
    for kind in (ObjectKind.CHANNEL, ObjectKind.MESSAGES, ObjectKind.ROSTER):
        assert find_object(SERVICE, object_name(kind, f"CH{digits}")) == SyncObject(kind, f"CH{digits}")
    info = SyncObject(ObjectKind.INFO, f"US{digits}")
    assert find_object(SERVICE, object_name(ObjectKind.INFO, f"US{digits}")) == info
    channels = find_object(SERVICE, object_name(ObjectKind.CHANNELS, identity))
    assert channels == SyncObject(ObjectKind.CHANNELS, user_sid(SERVICE, identity))


@pytest.mark.parametrize(
    "name",
    ["", ".channels", "CH1.messages", "alice.info", "alice.roster", "US" + "0" * 32 + ".messages", "x.other", "MP12"],
)
def test_other_names_are_not_objects(name: str) -> None:
    assert find_object(SERVICE, name) is None


def test_types_and_owners_of_the_kinds() -> None:
    assert {kind: (kind.type, kind.owner) for kind in ObjectKind} == {
        ObjectKind.CHANNEL: (ObjectType.DOCUMENT, Prefix.CONVERSATION),
        ObjectKind.MESSAGES: (ObjectType.LIST, Prefix.CONVERSATION),
        ObjectKind.ROSTER: (ObjectType.MAP, Prefix.CONVERSATION),
        ObjectKind.CHANNELS: (ObjectType.MAP, Prefix.USER),
        ObjectKind.INFO: (ObjectType.MAP, Prefix.USER),
    }


def test_only_objects_of_a_conversation_have_its_sid() -> None:
    assert SyncObject(ObjectKind.ROSTER, "CH" + "0" * 32).conversation_sid == "CH" + "0" * 32
    assert SyncObject(ObjectKind.INFO, "US" + "0" * 32).conversation_sid is None
